"""Private attributes of Keras's callbacks that fitwatch reads or sets."""

from typing import Any

from fitwatch._keras.stock import STOCK

# The state attributes of Keras's callbacks that fitwatch does not replace, by class.
STATES = {
    "OrbaxCheckpoint": (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
        "_total_batches_seen",
    ),
}


def state_names(callback: Any) -> tuple[str, ...]:
    """The state attributes of one of Keras's callbacks; empty for most."""
    classes = [cls.__name__ for cls in type(callback).__mro__ if STOCK.get(cls.__name__) is cls]
    return next((STATES[name] for name in classes if name in STATES), ())


def model_and_params(callback: Any) -> tuple[Any, Any]:
    """The model and params of a callback, without the side effect of `callback.model`."""
    return callback._model, callback.params


def set_model_and_params(callback: Any, pair: tuple[Any, Any]) -> None:
    """Sets model and params, without calling `set_model` and `set_params`."""
    callback._model, callback.params = pair


def backup_files(callback: Any) -> list[tuple[str, str]]:
    """The files of a BackupAndRestore's last and previous backup: weights and notes."""
    return [
        (callback._weights_path, callback._training_metadata_path),
        (callback._prev_weights_path, callback._prev_training_metadata_path),
    ]


def has_averages_in(callback: Any) -> bool:
    """Whether a SwapEMAWeights has put the averages into the model."""
    return bool(callback._ema_weights_in_model)


def set_averages_in(callback: Any, value: bool) -> None:
    """Sets whether a SwapEMAWeights has put the averages into the model."""
    callback._ema_weights_in_model = value


def swap_averages(callback: Any) -> None:
    """Swaps the model's weights and their averages."""
    callback._swap_variables()
