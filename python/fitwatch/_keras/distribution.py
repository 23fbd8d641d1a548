"""Models that several processes hold together, on JAX."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


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


def is_sharded(model: Any) -> bool:
    """Whether no process alone has all of the model's weights."""
    if keras.config.backend() != "jax":
        return False
    values = [variable.value for variable in getattr(model, "variables", ())]
    return any(
        not getattr(value, "is_fully_addressable", True)
        and not getattr(value, "is_fully_replicated", True)
        for value in values
    )
