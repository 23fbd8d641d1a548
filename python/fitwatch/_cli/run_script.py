"""`python -m fitwatch run`: runs an unchanged script with fitwatch enabled."""

import builtins
import os
import sys
from contextlib import nullcontext
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import fitwatch
from fitwatch._cli.resume_dir import ResumeDir


def run(path: str, arguments: list[str], resume_dir: ResumeDir | None = None) -> int:
    """Runs a script as `python script.py` does, after `fitwatch.enable()`.

    `sys.argv`, `sys.path`, `__main__`, the exit status and tracebacks are as without fitwatch.

    Args:
        path: The script.
        arguments: The script's `sys.argv[1:]`.
        resume_dir: Where every `fit()` is backed up; None (default) for no backups.

    Returns:
        The exit status: 0, or 2 if the script cannot be read. `sys.exit()` passes through.
    """
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"python -m fitwatch run: can't open {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    main = ModuleType("__main__")
    main.__file__ = os.path.abspath(path)
    main.__loader__ = SourceFileLoader("__main__", main.__file__)
    names: dict[str, Any] = {"__builtins__": builtins, "__cached__": None, "__annotations__": {}}
    # Newer versions of Python lack some of these names.
    vars(main).update({name: names[name] for name in names.keys() & vars(sys.modules["__main__"])})
    sys.modules["__main__"] = main
    sys.argv = [path, *arguments]
    if not sys.flags.safe_path:
        # `python -m` puts the working directory there; a script expects its own folder.
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    fitwatch.enable()
    with nullcontext() if resume_dir is None else resume_dir.used():
        try:
            exec(compile(source, main.__file__, "exec"), main.__dict__)
        except (Exception, KeyboardInterrupt):
            _show_only_the_script(main.__file__)
            raise
    return 0


def _show_only_the_script(path: str) -> None:
    """Removes the frames before the script from the traceback that ends the process."""
    hook = sys.excepthook

    def without_us(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        while traceback is not None and traceback.tb_frame.f_code.co_filename != path:
            traceback = traceback.tb_next
        hook(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = without_us
