"""Another train step in the place of a model's, and the loss that a step hands on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch._keras.stock import KERAS, is_library_code
from fitwatch._keras.version import unsupported


def loss_tracker(model: Any) -> Any:
    """The metric that a train step hands the loss of its batch to; None if there is none."""
    return getattr(model, "_loss_tracker", None)


def is_own_function(function: Any) -> bool:
    """Whether a train function is one that Keras has made."""
    return is_library_code(function) and function.__code__.co_filename.startswith(KERAS)


def build_train_function(model: Any, train_step: Any, around: Any) -> Any:
    """A train function as `fit()` makes it for a model, but of another step; the model stays as is.

    Args:
        model: A compiled model.
        train_step: Takes the place of `model.train_step`.
        around: Wraps the function that carries out one step, which is compiled already where steps
            are compiled one by one: JAX's, of state and data, and TensorFlow's, of data.
    """
    if not is_own_function(model.train_function):
        raise ValueError("its train function is not one that Keras has made")
    name = "_make_function" if keras.config.backend() == "jax" else "_autoconvert_optionals"
    make = getattr(model, name, None)
    if make is None:
        raise unsupported(f"a trainer with {name}")
    # TensorFlow's gives a function for a step; JAX's a function that takes steps.
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
    """Gives an instance other attributes for a while, past whatever its class does about that."""
    own = vars(instance)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            own.pop(name, None)
        own.update(before)
