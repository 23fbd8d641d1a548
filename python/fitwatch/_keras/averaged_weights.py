"""The averages of weights that an optimizer keeps, and that SwapEMAWeights puts into the model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fitwatch._keras import model_state, optimizer, stock

# The values of trained variables and their averages, in pairs.
VariableValues = Sequence[tuple[Any, ...]]


def values(model: Any) -> VariableValues:
    """Copies of the trained variables and their averages."""
    pairs = optimizer.averaged_variables(model)
    return [tuple(np.array(keras.ops.convert_to_numpy(v)) for v in pair) for pair in pairs]


def assign(model: Any, kept: VariableValues) -> None:
    """Assigns the result of `values`."""
    for pair, value in zip(optimizer.averaged_variables(model), kept, strict=True):
        for variable, array in zip(pair, value, strict=True):
            variable.assign(array)


@contextmanager
def evaluated_weights(callbacks: Any, model: Any) -> Iterator[None]:
    """A block in which the model has the weights that its validation was of.

    SwapEMAWeights evaluates averages. With `swap_on_epoch` they are in the model at the end of an
    epoch too, so that what is saved there has the value that was logged; here likewise.
    """
    found = stock.instances(list(callbacks), "SwapEMAWeights")
    swaps = [one for one in found if one.swap_on_epoch and not one._ema_weights_in_model]
    if not swaps:
        yield
        return
    model_state.sync_state(model)
    before = values(model)  # on TensorFlow a swap rounds
    for callback in swaps:
        callback._swap_variables()
    try:
        yield
    finally:
        assign(model, before)
