"""Paths that callbacks write to: templates with `{fields}`, and folders that must be there."""

import errno
import glob
import os
import re
import shutil
import string
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from fitwatch import _core
from fitwatch._keras import remote_files


def is_remote(path: str) -> bool:
    """Whether a path is a URL (`gs://...`), which only Keras's own file layer can open."""
    return "://" in path


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
    if "{" in os.path.dirname(path):
        pattern = re.sub(r"\{[^}]*\}", "*", glob.escape(os.path.dirname(path)))
        for folder in glob.glob(pattern):
            _core.clean(folder)


def ensure_writable_folder(argument: str, folder: str) -> None:
    """Makes a folder if it is missing, and proves that a file can be made in it.

    What dead processes have left of files that they were writing there is removed.

    Raises:
        OSError: The folder cannot be made or written.
    """
    folder = folder or "."
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            _core.clean(folder)
    except OSError as error:
        reason = f"{argument}: the folder {folder!r} cannot be made or written"
        raise OSError(error.errno, f"{reason} ({error.strerror})") from error


def ensure_writable_ancestor(argument: str, folder: str) -> None:
    """Proves that a folder can be written, or made: makes nothing.

    Raises:
        OSError: It cannot.
    """
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    ensure_writable_folder(argument, folder)


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a path to write a file to, which is put in the place of `path` at the end.

    What is at `path` is the whole old file or the whole new one, whatever happens: the new one is
    written beside it, synced and renamed, and the folder is synced. An exception leaves the old one
    as it was, and so does writing nothing. What a process that died has left of such a file is
    removed by the next one.

    Raises:
        OSError: That failed.
    """
    _core.clean(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, and no file", path)
    new = _core.Replacement(path)
    try:
        yield str(new.path)
        if new.path.exists():
            new.commit()
    finally:
        new.discard()


def write_whole(path: str, write: Callable[[BinaryIO], object]) -> None:
    """Puts a file in its place once it is written: there is never half of one.

    Raises:
        OSError: That failed; an old file is as it was.
    """
    with replacing(path) as temporary, open(temporary, "xb") as file:
        write(file)


def copy(path: str, name: str) -> None:
    """Puts a copy of a file in the place of an old one, once it is whole.

    Raises:
        OSError: That failed; the old file is as it was.
    """
    with replacing(name) as temporary:
        shutil.copyfile(path, temporary)


def link(path: str, name: str) -> None:
    """Gives a file a second name that is free; copies it where the file system has no links.

    For files that only fitwatch writes: writing to one name in place changes both.
    """
    try:
        # Of a symbolic link it is the file that is meant: a relative one would lead elsewhere.
        os.link(os.path.realpath(path), name)
    except OSError:
        shutil.copyfile(path, name)


class RemoteFile:
    """A file that only Keras's own file layer can open, and a local copy to work on.

    Args:
        path: Where it lies.

    Raises:
        ValueError: Keras cannot open it: that takes TensorFlow.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._published: bytes | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        remote_files.require_remote(path)

    def open(self, *, keep: bool) -> str:
        """The path of the local copy: an empty file; or, with `keep`, what lies there."""
        self._folder = tempfile.TemporaryDirectory()
        with open(self._local(), "wb") as file:
            if keep:
                file.write(remote_files.read_remote(self._path))
        return self._local()

    def publish(self) -> None:
        """Puts the local copy there, if it has changed.

        Raises:
            OSError: That failed.
        """
        with open(self._local(), "rb") as file:
            content = file.read()
        if content == self._published:
            return
        try:
            remote_files.write_remote(self._path, content)
        except Exception as error:  # TensorFlow's are of its own kind
            raise OSError(f"{error}") from error
        self._published = content

    def _local(self) -> str:
        return os.path.join(self._folder.name if self._folder else "", "copy")

    def __getstate__(self) -> dict[str, str]:
        return {"_path": self._path}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["_path"])  # type: ignore[misc]
