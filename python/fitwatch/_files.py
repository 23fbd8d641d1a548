"""Paths that callbacks write to: templates with `{fields}`, and folders that must be there."""

import os
import re
import string
import tempfile

from fitwatch import _keras


def is_remote(path: str) -> bool:
    """Whether only Keras's own file layer can open a path (`gs://...`)."""
    return _keras.is_remote(path)


def fields(argument: str, template: str) -> set[str]:
    """The names that a path template wants filled in.

    Raises:
        ValueError: `template` is no format string, or has a field without a name.
    """
    try:
        parsed = [field for _, field, _, _ in string.Formatter().parse(template)]
    except ValueError as error:
        raise ValueError(
            f"{argument} is not a valid format string: {template!r} ({error})."
        ) from None
    names = {re.split(r"[.\[]", field)[0] for field in parsed if field is not None}
    if any(not name or name.isdigit() for name in names):
        raise ValueError(f"{argument} has a field without a name: {template!r}.")
    return names


def ensure_writable(argument: str, path: str) -> None:
    """Makes the folder of the file `path` (up to its first field), and proves it can be written.

    Raises:
        OSError: The folder cannot be made or written, or `path` is a folder itself.
    """
    if is_remote(path):
        return
    if os.path.isdir(path):
        raise IsADirectoryError(f"{argument} must be a file, but is a folder: {path!r}.")
    ensure_writable_folder(argument, os.path.dirname(path.partition("{")[0]))


def ensure_writable_folder(argument: str, folder: str) -> None:
    """Makes a folder if it is missing, and proves that a file can be made in it.

    Raises:
        OSError: The folder cannot be made or written.
    """
    folder = folder or "."
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"{argument}: the folder {folder!r} cannot be made or written"
        raise OSError(error.errno, f"{reason} ({error.strerror})") from error
