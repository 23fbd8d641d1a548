"""Printing by one of several processes."""

from fitwatch._distributed.world import is_writer
from fitwatch._keras import output


def print_message(message: str, line_break: bool = True) -> None:
    """Prints as Keras's own callbacks do, on rank 0 only."""
    if is_writer():
        output.print_message(message, line_break=line_break)
