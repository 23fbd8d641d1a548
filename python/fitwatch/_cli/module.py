"""Runs a module as `python -m module` does."""

import runpy
import sys

from fitwatch._cli.run import new_main


class Module:
    """A module or a package with a `__main__.py`, which a call runs as without fitwatch.

    A module that cannot be found ends the process with Python's own message and exit status.

    Args:
        name: Its name, such as `package.train`.
        arguments: Its `sys.argv[1:]`.
    """

    def __init__(self, name: str, arguments: list[str]) -> None:
        self._name = name
        self._argv = ["-m", *arguments]  # what packages see on import, until the module is found

    def __call__(self) -> None:
        """Runs it."""
        new_main()
        sys.argv = self._argv
        # The function that `python -m` calls. `runpy.run_module` has other messages, and takes
        # `__main__` away before the threads and the exit functions of the program have ended.
        runpy._run_module_as_main(self._name)  # type: ignore[attr-defined]
