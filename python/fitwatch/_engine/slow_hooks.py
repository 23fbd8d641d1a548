"""The report on callbacks that slow the training down."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from fitwatch._engine.plan import Compiled
from fitwatch._keras.stock import is_as_keras_has_it
from fitwatch._warn import warn


def report(shares: Iterable[tuple[Any, float, bool]], reported: list[Any]) -> None:
    """Warns of callbacks whose batch hooks take long, and of those for which there is better.

    Never raises.

    Args:
        shares: For each callback whose hooks were called from Python: the callback, the part of the
            time (0 to 1) that they took, and whether that is worth a warning.
        reported: The callbacks of which nothing more is to be said; grows.
    """
    for callback, share, slow in shares:
        if any(callback is one for one in reported):
            continue
        try:
            message = _message(type(callback), share, slow)
        except Exception as error:  # of its metaclass
            message = f"the time of a callback's batch hooks cannot be reported: {error!r}"
        if message is not None:
            reported.append(callback)
            warn(message)


def _message(kind: type, share: float, slow: bool) -> str | None:
    """What there is to say of a callback of a class."""
    for theirs, compiled in _better():
        if kind is theirs and is_as_keras_has_it(theirs):
            return (
                f"{kind.__name__} is Keras's own and runs the slow way: Python calls its hooks in "
                f"every batch, which wait for their values. fitwatch.callbacks.{compiled} does the "
                "same in the core; make it after fitwatch.enable(), or import it from there."
            )
    if slow and not str(kind.__module__).startswith("fitwatch."):
        return f"{kind.__name__} is slow: its batch hooks took {share:.0%} of the time."
    return None


@cache
def _better() -> list[tuple[type, str]]:
    """Keras's classes for which there is a compiled one, and its name."""
    return [
        (theirs, cls.__name__)
        for cls in _descendants(Compiled)
        if cls.__module__.startswith("fitwatch.callbacks.")
        for theirs in cls.__mro__[1:]
        if theirs.__name__ == cls.__name__
    ]


def _descendants(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for child in children:
        yield child
        yield from _descendants(child)
