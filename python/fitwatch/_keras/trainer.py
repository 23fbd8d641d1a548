"""Private names of Keras's trainers and models."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch._keras.stock import KERAS, is_library_code
from fitwatch._keras.version import unsupported


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

    JAX's trainer keeps the state to itself until somebody asks for the callback's model.
    """
    return keras.config.backend() != "jax" or getattr(model, "_jax_state_synced", True)


def sync_state(model: Any) -> None:
    """Brings the training state that JAX's trainer holds back to the model's variables."""
    if keras.config.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


@contextmanager
def undistributed() -> Iterator[None]:
    """Hides the distribution from Keras, which puts what it makes on the devices of all processes.

    A process that saves alone would wait there for the others.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def is_scattered(model: Any) -> bool:
    """Whether no process alone has all of the model's weights."""
    if keras.config.backend() != "jax":
        return False
    values = [variable.value for variable in getattr(model, "variables", ())]
    return any(
        not getattr(value, "is_fully_addressable", True)
        and not getattr(value, "is_fully_replicated", True)
        for value in values
    )


def validation_steps(model: Any) -> int | None:
    """How many batches the validation inside `fit()` has; None if that is not known."""
    steps = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
    return steps if isinstance(steps, int) else None


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
