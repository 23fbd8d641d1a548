"""Printing as Keras's own callbacks do."""

from fitwatch._keras.version import unsupported


def print_message(message: str, *, line_break: bool) -> None:
    """Prints to stdout, or logs if Keras is configured to log instead."""
    try:
        from keras.src.utils.io_utils import print_msg
    except ImportError as error:
        raise unsupported("keras.src.utils.io_utils.print_msg") from error
    print_msg(message, line_break=line_break)
