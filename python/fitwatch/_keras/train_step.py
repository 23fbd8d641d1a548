"""Replaces a model's train step, and finds the loss tracker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch._keras.stock import KERAS, is_function_in
from fitwatch._keras.version import unsupported


def loss_tracker(model: Any) -> Any:
    """The metric that a train step updates with the loss of its batch; or None."""
    return getattr(model, "_loss_tracker", None)


def build_train_function(model: Any, train_step: Any, around: Any) -> Any:
    """A train function as `fit()` makes it, but with another step; the model is unchanged.

    `around` wraps the function of one step, which is already compiled where steps are compiled one
    by one: on JAX a function of state and data, on TensorFlow of data.
    """
    if not is_function_in(model.train_function, (KERAS,)):
        raise ValueError("its train function was not made by Keras")
    name = "_make_function" if keras.config.backend() == "jax" else "_autoconvert_optionals"
    make = getattr(model, name, None)
    if make is None:
        raise unsupported(f"a trainer with {name}")
    # TensorFlow's `make` returns the function of a step; JAX's takes it.
    changed = (lambda f: make(around(f))) if name == "_make_function" else lambda f: around(make(f))
    before = model.train_function
    try:
        with replaced(model, train_step=train_step, **{name: changed}):
            model.make_train_function(force=True)
        return model.train_function
    finally:
        model.train_function = before


@contextmanager
def replaced(instance: Any, **attributes: Any) -> Iterator[None]:
    """A block in which an instance has other attributes; bypasses its class's `__setattr__`."""
    own = vars(instance)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            own.pop(name, None)
        own.update(before)
