"""`python -m fitwatch run`: runs an unchanged script or module with fitwatch enabled."""

import builtins
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import fitwatch
from fitwatch._cli.resume_dir import ResumeDir


def run(program: Callable[[], None], resume_dir: ResumeDir | None = None) -> int:
    """Runs a program after `fitwatch.enable()`; tracebacks are as without fitwatch.

    Args:
        program: A function of this package, which runs the code of a script or a module itself.
        resume_dir: Where every `fit()` is backed up; None (default) for no backups.

    Returns:
        The exit status, 0. `sys.exit()` and exceptions pass through.
    """
    fitwatch.enable()
    with nullcontext() if resume_dir is None else resume_dir.used():
        try:
            program()
        except (Exception, KeyboardInterrupt) as error:
            _hide_callers(error)
            raise
    return 0


def new_main() -> ModuleType:
    """A `__main__` in place of fitwatch's own."""
    main = ModuleType("__main__")
    names: dict[str, Any] = {"__builtins__": builtins, "__cached__": None, "__annotations__": {}}
    # Newer versions of Python lack some of these names.
    vars(main).update({name: names[name] for name in names.keys() & vars(sys.modules["__main__"])})
    sys.modules["__main__"] = main
    return main


def _hide_callers(error: BaseException) -> None:
    """Leaves the frames of `run` and of the program's function out of the final traceback."""
    traceback: Any = error.__traceback__
    shown = traceback.tb_next and traceback.tb_next.tb_next
    hook = sys.excepthook

    def without_callers(kind: type[BaseException], last: BaseException, traceback: Any) -> None:
        if last is error:
            last, traceback = error.with_traceback(shown), shown
        hook(kind, last, traceback)

    sys.excepthook = without_callers
