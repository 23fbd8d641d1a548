"""Flushes open files when the interpreter ends.

Destructors are not enough: objects held by a daemon thread or a leak are never freed.
"""

import atexit
import weakref
from contextlib import suppress

from fitwatch import _core

_files: weakref.WeakSet[_core.CsvFile | _core.EventFile] = weakref.WeakSet()


def flush_at_exit(file: _core.CsvFile | _core.EventFile) -> None:
    """Registers a file to be flushed at exit, if it still exists then."""
    _files.add(file)


@atexit.register
def _flush() -> None:
    for file in list(_files):
        with suppress(OSError):  # which the callback has already reported
            file.flush()
