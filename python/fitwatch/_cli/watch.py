"""`python -m fitwatch watch`: live charts of a folder of runs in the terminal."""

import os
import shutil
import signal
import sys

from fitwatch import _core
from fitwatch._cli.failure import fail


def run(
    path: str,
    *,
    tags: str | None = None,
    log: bool = False,
    once: bool = False,
    width: int | None = None,
    height: int | None = None,
) -> int:
    """Shows the charts until the user quits, or prints one frame.

    Args:
        path: A folder of runs, or a file of one.
        tags: A regular expression that tags must contain.
        log: Whether to begin with logarithmic axes.
        once: Whether to print one frame. Into a pipe it has no colours.
        width: The columns of this frame; None for the terminal's, or `COLUMNS`, or 80.
        height: The lines of this frame; None for the terminal's, or `LINES`, or 24.

    Returns:
        The exit status: 0; 2 if there is nothing to show; 130 after Ctrl-C.
    """
    is_terminal = sys.stdout.isatty()
    try:
        if once:
            columns, lines = shutil.get_terminal_size()
            # The prompt needs a line of a terminal.
            size = width or columns, height or (lines - is_terminal)
            frame = _core.watch_once(path, *size, tags=tags, log=log, colour=is_terminal)
            sys.stdout.buffer.write(frame.encode())
            sys.stdout.flush()
            return 0
        if not is_terminal:
            return fail("watch", "the output is not a terminal; --once prints one frame")
        outcome = _core.watch(path, tags=tags, log=log)
    except BrokenPipeError:
        # The reader of the pipe has gone. Python must not flush into it when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        return fail("watch", str(error))
    except KeyboardInterrupt:
        return 130
    if outcome == "terminated":
        # The process ends as the signal ends others.
        signal.raise_signal(signal.SIGTERM)
    return 130 if outcome == "interrupted" else 0
