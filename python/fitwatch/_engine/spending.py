"""Sums where the time of a `fit()` goes, while a callback of the list reports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fitwatch import _core
from fitwatch._engine.attachment import attachment_of


def spent_of(callback: Any) -> _core.Spent | None:
    """The sums of the callback's list; None unless they are reported."""
    attachments = (attachment_of(one) for one in callback._fitwatch.siblings())
    return next((one.spent for one in attachments if one is not None and one.spent), None)


@contextmanager
def spending(callback: Any, activity: str) -> Iterator[None]:
    """A block whose time is spent on an activity, unless an exception ends it."""
    spent = spent_of(callback)
    mark = None if spent is None else spent.mark()
    yield
    if spent is not None and mark is not None:
        spent.add(activity, mark)
