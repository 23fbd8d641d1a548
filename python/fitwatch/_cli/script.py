"""Runs a script as `python script.py` does."""

import os
import sys
from importlib.machinery import SourceFileLoader

from fitwatch._cli.run import new_main


class Script:
    """A script, which a call runs; `sys.argv`, `sys.path` and `__main__` are as without fitwatch.

    Args:
        path: Its path.
        arguments: Its `sys.argv[1:]`.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: str, arguments: list[str]) -> None:
        self._argv = [path, *arguments]
        with open(path, "rb") as file:
            self._source = file.read()

    def __call__(self) -> None:
        """Runs it."""
        path = self._argv[0]
        main = new_main()
        main.__file__ = os.path.abspath(path)
        main.__loader__ = SourceFileLoader("__main__", main.__file__)
        sys.argv = self._argv
        if not sys.flags.safe_path:
            # `python -m` puts the working directory there; a script expects its own folder.
            sys.path[0] = os.path.dirname(os.path.realpath(path))
        exec(compile(self._source, main.__file__, "exec"), main.__dict__)
