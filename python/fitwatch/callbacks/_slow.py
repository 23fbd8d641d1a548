"""The report on callbacks that slow the training down."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fitwatch._warn import warn
from fitwatch.callbacks._compiled import Compiled

# A callback is slow when its batch hooks take more of the time than this.
SHARE = 0.2

# Batches that have to be measured before anything is said of a callback's share.
ENOUGH = 8


def report(
    callbacks: Sequence[Any],
    shares: Sequence[tuple[int, float]],
    batches: int,
    reported: set[int],
) -> None:
    """Warns of callbacks whose batch hooks take long, and of those for which there is better.

    Args:
        callbacks: All callbacks.
        shares: The place of a callback in that list, and the part of the time of a batch that its
            Python hooks took (0 to 1).
        batches: How many batches were measured.
        reported: The places of callbacks of which nothing more is to be said; grows.
    """
    better = _better()
    for place, share in shares:
        if place in reported or place >= len(callbacks) or not share > 0:
            continue
        kind = type(callbacks[place])
        took = f"its batch hooks took {min(share, 1):.0%} of the time of a batch"
        if kind in better:
            reported.add(place)
            warn(
                f"{kind.__name__} is Keras's own and runs the slow way: {took}. "
                f"fitwatch.callbacks.{better[kind]} does the same in the core; make it after "
                "fitwatch.enable(), or import it from there."
            )
        elif share > SHARE and batches >= ENOUGH and not kind.__module__.startswith("fitwatch."):
            reported.add(place)
            warn(f"{kind.__name__} is slow: {took}.")


@cache
def _better() -> dict[type, str]:
    """Keras's classes for which there is a compiled one, and its name."""
    from fitwatch import callbacks  # which imports this module

    ours = {name: getattr(callbacks, name) for name in callbacks.__all__}
    return {
        stock: name
        for name, cls in ours.items()
        if issubclass(cls, Compiled)
        for stock in cls.__mro__[1:]
        if stock.__name__ == name
    }
