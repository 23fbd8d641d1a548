"""The trained weights of a model that holds the averages of SwapEMAWeights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fitwatch._keras import averaged_weights, stock
from fitwatch._keras.averaged_weights import VariableValues


def values_before_last_swap(callbacks: list[Any], model: Any, epoch: int) -> VariableValues:
    """The values in the model before the end of an epoch, if that loses the trained weights.

    In the last epoch of a `fit()`, SwapEMAWeights overwrites them with their averages; a resumed
    run that trains more epochs needs them.
    """
    swaps = [c for c in stock.instances(callbacks, "SwapEMAWeights") if c.swap_on_epoch]
    last = any(c.params["epochs"] == epoch + 1 for c in swaps)
    return averaged_weights.values(model) if last else ()


@contextmanager
def trained_weights(callbacks: list[Any], model: Any, kept: VariableValues) -> Iterator[None]:
    """A block in which the model has its trained weights, with which the next epoch begins.

    `kept` is the result of `values_before_last_swap`.
    """
    swaps = stock.instances(callbacks, "SwapEMAWeights")
    swapped = [callback for callback in swaps if callback._ema_weights_in_model]
    if not swapped:
        yield
        return
    now = averaged_weights.values(model)
    try:
        for callback in swapped:
            if kept:
                averaged_weights.assign(model, kept)
                # Two swaps, as without a backup: on TensorFlow they round.
                callback._swap_variables()
            callback._swap_variables()
        yield
    finally:
        averaged_weights.assign(model, now)


def mark_unswapped(callbacks: list[Any]) -> None:
    """Called when the model has its trained weights again, also after a failed fit."""
    for callback in stock.instances(callbacks, "SwapEMAWeights"):
        callback._ema_weights_in_model = False
