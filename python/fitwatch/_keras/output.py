"""Printing as Keras's own callbacks do."""

from fitwatch._keras.version import unsupported


def print_message(message: str, line_break: bool = True) -> None:
    """Prints the way Keras's own callbacks do: to stdout, or to the log if it is off.

    Of several processes that train together, rank 0 prints.
    """
    from fitwatch.distributed import is_writer

    if not is_writer():
        return
    try:
        from keras.src.utils.io_utils import print_msg
    except ImportError as error:
        raise unsupported("keras.src.utils.io_utils.print_msg") from error
    print_msg(message, line_break=line_break)
