"""How a command of `python -m fitwatch` says that it failed."""

import sys


def fail(command: str, problem: str) -> int:
    """Prints a problem; returns the exit status."""
    print(f"python -m fitwatch {command}: {problem}", file=sys.stderr)
    return 2
