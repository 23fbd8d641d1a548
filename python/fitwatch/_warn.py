"""Warnings of fitwatch: they name the user's line, and end no training."""

import os
import sys
import warnings
from contextlib import suppress
from types import FrameType

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn(message: str) -> None:
    """Warns at the innermost line that is neither fitwatch's nor Keras's: as a rule, `fit()`'s.

    Where warnings are errors, the message goes to stderr instead: a warning must not end a training
    that has run for days.

    Args:
        message: The text.
    """
    try:
        warnings.warn(message, UserWarning, stacklevel=_depth_of_the_user())
    except Exception:  # the warning itself, or what a tool that shows warnings raises
        with suppress(Exception):  # stderr is closed, perhaps
            print(f"UserWarning: {message}", file=sys.stderr)


def _depth_of_the_user() -> int:
    """How many frames out `warn`'s caller's caller is that a user knows; 2 where there is none."""
    keras = getattr(sys.modules.get("keras"), "__file__", None)
    skipped = (_OURS, os.path.dirname(keras) + os.sep) if keras else (_OURS,)
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(skipped):
            return depth
        frame = frame.f_back
        depth += 1
    return 2
