"""What Keras's callback classes keep to themselves, and fitwatch reads or sets."""

from typing import Any

from fitwatch._keras.stock import STOCK

# What Keras's own callbacks that are handed on have found out in a run, by class.
STATES = {
    "OrbaxCheckpoint": (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
        "_total_batches_seen",
    ),
}


def state_names(callback: Any) -> tuple[str, ...]:
    """The attributes that make up the state of one of Keras's own callbacks; none of most."""
    classes = [cls.__name__ for cls in type(callback).__mro__ if STOCK.get(cls.__name__) is cls]
    return next((STATES[name] for name in classes if name in STATES), ())


def model_and_params(callback: Any) -> tuple[Any, Any]:
    """What a list has set on a callback, without the side effect of `callback.model`."""
    return callback._model, callback.params


def set_model_and_params(callback: Any, pair: tuple[Any, Any]) -> None:
    """Sets them, past what the callback's own `set_model` and `set_params` do."""
    callback._model, callback.params = pair


def backup_files(callback: Any) -> list[tuple[str, str]]:
    """The files of a BackupAndRestore's last backup, and of the one before: weights and notes."""
    return [
        (callback._weights_path, callback._training_metadata_path),
        (callback._prev_weights_path, callback._prev_training_metadata_path),
    ]


def has_averages_in(callback: Any) -> bool:
    """Whether a SwapEMAWeights has put the averages in the place of the trained weights."""
    return bool(callback._ema_weights_in_model)


def set_averages_in(callback: Any, value: bool) -> None:
    """Tells a SwapEMAWeights what the model has."""
    callback._ema_weights_in_model = value


def swap_averages(callback: Any) -> None:
    """Has a SwapEMAWeights exchange the model's weights and their averages."""
    callback._swap_variables()
