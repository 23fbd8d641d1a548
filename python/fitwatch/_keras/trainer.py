"""What Keras's trainers know of a run: the model, where it begins, and the state on JAX."""

from typing import Any

import keras


def model_of(callback: Any) -> Any:
    """The callback's model, without the side effect of `callback.model`.

    On JAX that property copies every variable of the training state back into the model, which
    only a caller that reads or sets variables needs (a learning rate is one). On torch it unwraps a
    data-parallel model.
    """
    return callback.model if keras.config.backend() == "torch" else callback._model


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Has `fit()` begin at an epoch, whatever it is told; None for where it is told to."""
    model._initial_epoch = epoch


def is_synced(model: Any) -> bool:
    """Whether the model's variables hold what the trainer trains with.

    JAX's trainer keeps the state to itself until something asks for the callback's model.
    """
    return keras.config.backend() != "jax" or getattr(model, "_jax_state_synced", True)


def sync_state(model: Any) -> None:
    """Brings the training state that JAX's trainer holds back to the model's variables."""
    if keras.config.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def validation_steps(model: Any) -> int | None:
    """How many batches the validation inside `fit()` has; None if that is not known."""
    steps = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
    return steps if isinstance(steps, int) else None
