"""The trained weights, where SwapEMAWeights has put their averages in the model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fitwatch._keras import optimizer, stock, stock_state

# A trained variable and its average, with a value of each.
VariableValues = Sequence[tuple[Any, ...]]


def swap_callbacks(callbacks: list[Any]) -> list[Any]:
    """The callbacks that put averages in the place of trained weights."""
    return [c for c in callbacks if issubclass(type(c), stock.STOCK["SwapEMAWeights"])]


def values_before_last_swap(callbacks: list[Any], model: Any, epoch: int) -> VariableValues:
    """What the model has before the end of an epoch, if that loses the trained weights.

    In the last epoch of a `fit()` SwapEMAWeights overwrites them with their averages; one that
    trains more epochs needs them.
    """
    last = any(
        c.swap_on_epoch and c.params["epochs"] == epoch + 1 for c in swap_callbacks(callbacks)
    )
    return _values(model) if last else ()


@contextmanager
def trained_weights(callbacks: list[Any], model: Any, kept: VariableValues) -> Iterator[None]:
    """Has the trained weights in the model for a backup, as the next epoch begins with them.

    Args:
        callbacks: All callbacks of a list.
        model: The model.
        kept: What `values_before_last_swap` gave.
    """
    swapped = list(filter(stock_state.has_averages_in, swap_callbacks(callbacks)))
    if not swapped:
        yield
        return
    now = _values(model)
    try:
        for callback in swapped:
            if kept:
                _assign(model, kept)
                # There and back, as without a backup: on TensorFlow that rounds.
                stock_state.swap_averages(callback)
            stock_state.swap_averages(callback)
        yield
    finally:
        _assign(model, now)


def mark_unswapped(callbacks: list[Any]) -> None:
    """Called when the model has its trained weights again, whatever a fit that failed has left."""
    for callback in swap_callbacks(callbacks):
        stock_state.set_averages_in(callback, False)


def _values(model: Any) -> VariableValues:
    pairs = optimizer.averaged_variables(model)
    return [tuple(np.array(keras.ops.convert_to_numpy(v)) for v in pair) for pair in pairs]


def _assign(model: Any, values: VariableValues) -> None:
    for pair, value in zip(optimizer.averaged_variables(model), values, strict=True):
        for variable, array in zip(pair, value, strict=True):
            variable.assign(array)
