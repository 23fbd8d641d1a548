"""Models that are distributed over processes, on JAX."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def undistributed() -> Iterator[None]:
    """A block in which Keras creates arrays only on the devices of this process.

    A process that saves alone would otherwise wait for the others.
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
    """Whether the model's weights are sharded over processes."""
    if keras.config.backend() != "jax":
        return False
    values = [variable.value for variable in getattr(model, "variables", ())]
    return any(
        not getattr(value, "is_fully_addressable", True)
        and not getattr(value, "is_fully_replicated", True)
        for value in values
    )
