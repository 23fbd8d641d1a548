"""`python -m fitwatch run`: somebody else's script, with fitwatch enabled."""

import builtins
import os
import signal
import sys
from types import ModuleType
from typing import NoReturn

import fitwatch


def run(path: str, arguments: list[str]) -> int:
    """Runs a script as `python script.py` does, after `fitwatch.enable()`.

    `sys.argv`, `sys.path`, `__main__`, the exit status and tracebacks are the script's own.

    Args:
        path: The script.
        arguments: What it finds in `sys.argv[1:]`.

    Returns:
        The exit status of a script that ends by itself: 0. `sys.exit()` in it goes through.
    """
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"python -m fitwatch run: can't open {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    main = ModuleType("__main__")
    main.__file__ = os.path.abspath(path)
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv = [path, *arguments]
    # `python -m` has put the current folder there; a script has its own.
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    fitwatch.enable()
    try:
        exec(compile(source, path, "exec"), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _end_as_python_does(error)
    return 0


def _end_as_python_does(error: BaseException) -> NoReturn:
    """Shows the traceback without the frames of this module, and ends the process."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    sys.excepthook(type(error), error.with_traceback(traceback), traceback)
    if isinstance(error, KeyboardInterrupt) and sys.platform != "win32":
        # A shell that runs the script in a loop has to see that it was interrupted.
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(1)
