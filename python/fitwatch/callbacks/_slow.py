"""The report on callbacks that slow the training down."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from fitwatch.callbacks._compiled import Compiled

# A callback is slow when its batch hooks take more of the time than this.
SHARE = 0.2

# Batches that have to be measured before anything is said of a callback's share.
ENOUGH = 8


def report(callbacks: Sequence[Any], shares: Sequence[tuple[int, float]], batches: int) -> None:
    """Warns of callbacks whose batch hooks take long, and of those for which there is better.

    Args:
        callbacks: All callbacks.
        shares: The place of a callback in that list, and the part of the time of a batch that its
            Python hooks took (0 to 1).
        batches: How many batches were measured.
    """
    for place, share in shares:
        callback = callbacks[place] if place < len(callbacks) else None
        name = type(callback).__name__
        better = _replacement(callback)
        if share > 0 and better is not None:
            warnings.warn(
                f"{name} is Keras's own and runs the slow way: its batch hooks took {share:.0%} of "
                f"the time of a batch. fitwatch.callbacks.{better} does the same in the core; make "
                "it after fitwatch.enable(), or import it from there.",
                stacklevel=3,
            )
        elif share > SHARE and batches >= ENOUGH:
            warnings.warn(
                f"{name} is slow: its batch hooks took {share:.0%} of the time of a batch.",
                stacklevel=3,
            )


def _replacement(callback: Any) -> str | None:
    """The name of fitwatch's class for a callback of one of Keras's own."""
    from fitwatch import callbacks as ours  # which imports this module

    name = type(callback).__name__
    stock = type(callback).__module__.startswith("keras.")
    better = getattr(ours, name, None) if stock and name in keras.callbacks.__dict__ else None
    return name if isinstance(better, type) and issubclass(better, Compiled) else None
