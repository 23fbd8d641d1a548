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


def is_training(model: Any) -> bool:
    """Whether JAX's trainer holds the state of a training; False on other backends."""
    return getattr(model, "_jax_state", None) is not None


def hand_over(model: Any) -> None:
    """Makes JAX's trainer continue with the values that the model's variables have.

    It reads them before the next batch, and clears the variables. If there is no batch left, it
    puts the state back that it was given last: here, the same values.
    """
    model._jax_state = {
        name: [variable.value for variable in variables]
        for name, variables in (
            ("trainable_variables", model.trainable_variables),
            ("non_trainable_variables", model.non_trainable_variables),
            ("optimizer_variables", model.optimizer.variables),
            ("metrics_variables", model.metrics_variables),
        )
    }
    model._jax_state_synced = True
