"""Open files, which are flushed when the interpreter ends.

Closing a file is not enough: what a daemon thread or a leak still holds then is never freed.
"""

import atexit
import weakref
from contextlib import suppress

from fitwatch import _core

_files: weakref.WeakSet[_core.CsvFile | _core.EventFile] = weakref.WeakSet()


def flush_at_exit(file: _core.CsvFile | _core.EventFile) -> None:
    """Has a file flushed at the end, if it is still there."""
    _files.add(file)


@atexit.register
def _flush() -> None:
    for file in list(_files):
        with suppress(OSError):  # the callback that writes to it has warned of it
            file.flush()
