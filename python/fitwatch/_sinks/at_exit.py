"""Completes what is open when the interpreter ends.

Destructors are not enough: objects held by a daemon thread or a leak are never freed.
"""

import atexit
import weakref
from contextlib import suppress
from typing import Any

# The name of the method to call, by object.
_open: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def call_at_exit(of: Any, method: str) -> None:
    """Registers a method of an object to be called at exit, if the object still exists then."""
    _open[of] = method


@atexit.register
def _complete() -> None:
    for of, method in list(_open.items()):
        with suppress(OSError):  # which the callback has already reported
            getattr(of, method)()
