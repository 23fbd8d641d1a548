"""The values of a model's variables in a training, which JAX's trainer holds apart from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

# The parts of the training state on JAX.
_STATE = ("trainable", "non_trainable", "optimizer", "metrics")


def seeds(model: Any) -> list[Any]:
    """The seeds of random layers: the variables that are not among the model's weights."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def is_synced(model: Any) -> bool:
    """Whether the model's variables hold the current training state.

    JAX's trainer holds the state separately until a callback's model is read.
    """
    return keras.config.backend() != "jax" or getattr(model, "_jax_state_synced", True)


def sync_state(model: Any) -> None:
    """Copies the training state of JAX's trainer into the model's variables."""
    if keras.config.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def is_training(model: Any) -> bool:
    """Whether JAX's trainer holds the state of a training; False on other backends."""
    return getattr(model, "_jax_state", None) is not None


def hand_over(model: Any) -> None:
    """Makes JAX's trainer continue with the values that the model's variables have.

    It reads them before the next batch, and clears the variables. If there is no batch left, it
    puts the state back that it was given last: here, the same values.
    """
    model._jax_state = {
        f"{name}_variables": [variable.value for variable in variables]
        for name, variables in zip(_STATE, _variables(model), strict=True)
    }
    model._jax_state_synced = True


def copied_state(model: Any) -> list[list[Any]]:
    """Copies, in host memory, of the variables of weights, other state, optimizer and metrics.

    On JAX the training state is read where the trainer holds it, so that the next step takes it
    from there.
    """
    if not is_synced(model) and model._jax_state is not None:
        held = [model._jax_state[f"{name}_variables"] for name in _STATE]
    else:
        held = _variables(model)
    return [[np.array(keras.ops.convert_to_numpy(one), copy=True) for one in of] for of in held]


def restore_state(model: Any, state: list[list[Any]], *, with_metrics: bool) -> None:
    """Assigns the result of `copied_state`, of metrics only if they are wanted."""
    sync_state(model)
    *variables, metrics = zip(_variables(model), state, strict=True)
    for ours, values in [*variables, metrics] if with_metrics else variables:
        for variable, value in zip(ours, values, strict=True):
            variable.assign(value)
    if is_training(model):
        hand_over(model)


def _variables(model: Any) -> list[list[Any]]:
    optimizer = getattr(model, "optimizer", None)
    return [
        list(model.trainable_variables),
        list(model.non_trainable_variables),
        [] if optimizer is None else list(optimizer.variables),
        list(model.metrics_variables),
    ]


def begin_lean_state(model: Any) -> bool:
    """Makes JAX's trainer store its state without looking at every variable; False if it does so.

    Keras stores the state after each batch as an attribute of the model, and looks for layers in
    it: some microseconds for each variable. It does not look into mappings other than dicts.
    """
    # A stand-in for a model may have neither.
    original = getattr(type(model), "_setattr_hook", None)
    own = getattr(model, "__dict__", {})
    if keras.config.backend() != "jax" or original is None or "_setattr_hook" in own:
        return False

    def hook(name: str, value: Any) -> Any:
        is_state = name == "_jax_state" and isinstance(value, dict)
        return original(model, name, MappingProxyType(value) if is_state else value)

    own["_setattr_hook"] = hook
    return True


def end_lean_state(model: Any) -> None:
    """Undoes `begin_lean_state`."""
    getattr(model, "__dict__", {}).pop("_setattr_hook", None)


@contextmanager
def lean_state(model: Any) -> Iterator[None]:
    """A block between both."""
    has_begun = begin_lean_state(model)
    try:
        yield
    finally:
        if has_begun:
            end_lean_state(model)
