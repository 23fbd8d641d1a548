"""Private attributes of Keras's trainers: model, first epoch, length of a validation."""

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


def validation_steps(model: Any) -> int | None:
    """The number of batches of the validation inside `fit()`; None if it is not known."""
    steps = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
    return steps if isinstance(steps, int) else None
