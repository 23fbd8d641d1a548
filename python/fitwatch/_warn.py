"""Warnings of fitwatch, which name the user's line and never end a training."""

import os
import sys
import warnings
from contextlib import suppress
from types import FrameType

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn(message: str) -> None:
    """Warns at the innermost line outside fitwatch and Keras, usually the call of `fit()`.

    Where warnings are errors, the message goes to stderr instead: a warning must not end a training
    that has run for days.
    """
    try:
        warnings.warn(message, UserWarning, stacklevel=_depth_of_the_user())
    except Exception:  # the warning itself, or an error in a tool that shows warnings
        with suppress(Exception):  # stderr may be closed
            print(f"UserWarning: {message}", file=sys.stderr)


def _depth_of_the_user() -> int:
    """The number of frames from `warn` out to the user's code; 2 if there is none."""
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
