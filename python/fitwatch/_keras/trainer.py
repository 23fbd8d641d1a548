"""Private state of Keras's trainers: the model, the first epoch, the training state on JAX."""

from typing import Any

import keras


def model_of(callback: Any) -> Any:
    """The callback's model, without the side effect of `callback.model`.

    On JAX that property copies the whole training state into the model's variables, which is only
    needed to read or set variables (such as the learning rate). On torch it unwraps a data-parallel
    model.
    """
    return callback.model if keras.config.backend() == "torch" else callback._model


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Sets the first epoch of `fit()`, over its argument; None for that of the argument."""
    model._initial_epoch = epoch


def is_synced(model: Any) -> bool:
    """Whether the model's variables hold the current training state.

    JAX's trainer holds the state separately until a callback's model is read.
    """
    return keras.config.backend() != "jax" or getattr(model, "_jax_state_synced", True)


def sync_state(model: Any) -> None:
    """Copies the training state of JAX's trainer into the model's variables."""
    if keras.config.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def validation_steps(model: Any) -> int | None:
    """The number of batches of the validation inside `fit()`; None if it is not known."""
    steps = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
    return steps if isinstance(steps, int) else None


def mark_synced(model: Any) -> None:
    """Makes JAX's trainer take its state from the model's variables before the next batch."""
    if keras.config.backend() == "jax":
        model._jax_state_synced = True
