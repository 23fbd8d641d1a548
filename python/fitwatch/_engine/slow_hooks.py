"""Warnings about callbacks that slow the training down."""

from collections.abc import Iterable, Mapping
from typing import Any

from fitwatch._keras.stock import is_unmodified
from fitwatch._warn import warn


def report(
    shares: Iterable[tuple[Any, float, bool]],
    reported: list[Any],
    replacements: Mapping[type, str],
) -> None:
    """Warns about callbacks with slow batch hooks, and about those with a compiled replacement.

    Never raises.

    Args:
        shares: For each callback whose hooks were called from Python: the callback, the fraction of
            the time that they took, and whether that deserves a warning.
        reported: Callbacks that were reported already; extended here.
        replacements: Keras's classes, each with the name of its compiled replacement.
    """
    for callback, share, slow in shares:
        if any(callback is one for one in reported):
            continue
        try:
            message = _message(type(callback), share, slow, replacements)
        except Exception as error:  # raised by the metaclass
            message = f"the time of a callback's batch hooks cannot be reported: {error!r}"
        if message is not None:
            reported.append(callback)
            warn(message)


def _message(kind: type, share: float, slow: bool, replacements: Mapping[type, str]) -> str | None:
    """The warning about a callback of this class; None for none."""
    # By identity: a metaclass may compare and hash its classes in its own way.
    ours = next((name for keras_class, name in replacements.items() if keras_class is kind), None)
    if ours is not None and is_unmodified(kind):
        return (
            f"{kind.__name__} is Keras's own and runs the slow way: Python calls its hooks in "
            f"every batch, which wait for their values. fitwatch.callbacks.{ours} "
            "does the same in the core; create it after fitwatch.enable(), or import it from there."
        )
    if slow and not str(kind.__module__).startswith("fitwatch."):
        return f"{kind.__name__} is slow: its batch hooks took {share:.0%} of the time."
    return None
