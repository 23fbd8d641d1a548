"""Paths and files of callbacks: templates with `{fields}`, folders, atomic replacement."""

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
    """Whether a path is a URL (`gs://...`), which only Keras's file layer can open."""
    return "://" in path


def fields(argument: str, template: str) -> set[str]:
    """The names of the fields of a path template.

    Raises:
        ValueError: `template` is not a format string, or has a field without a name.
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
    """Makes the folder of a file (up to the first field), and checks that it is writable."""
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
    """Makes a folder if it is missing, and checks that a file can be created in it.

    Removes temporary files of dead processes.
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
    """Checks that a folder is writable, or can be made; does not make it."""
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    ensure_writable_folder(argument, folder)


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """A block that writes a file at a temporary path, which replaces `path` at the end.

    Readers of `path` see either the old file or the new one, never a partial file: the new one is
    written in the same folder, synced and renamed, and the folder is synced. After an exception, or
    if nothing was written, the old file is unchanged. Temporary files of dead processes are
    removed.
    """
    _core.clean(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", path)
    new = _core.Replacement(path)
    try:
        yield str(new.path)
        if new.path.exists():
            new.commit()
    finally:
        new.discard()


def write_whole(path: str, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file atomically."""
    with replacing(path) as temporary, open(temporary, "xb") as file:
        write(file)


def copy(path: str, name: str) -> None:
    """Copies a file atomically."""
    with replacing(name) as temporary:
        shutil.copyfile(path, temporary)


def link(path: str, name: str) -> None:
    """Links a file under a new name; copies it if the file system has no links.

    Only for files that are replaced and never modified, since both names share the content.
    """
    try:
        # Resolves symbolic links: a relative one would lead elsewhere.
        os.link(os.path.realpath(path), name)
    except OSError:
        shutil.copyfile(path, name)


class RemoteFile:
    """A file that only Keras's file layer can open, with a local working copy."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._published: bytes | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        remote_files.require_remote(path)

    def open(self, *, keep: bool) -> str:
        """Creates the local copy and returns its path: empty, or with `keep` the remote content."""
        self._folder = tempfile.TemporaryDirectory()
        with open(self._local(), "wb") as file:
            if keep:
                file.write(remote_files.read_remote(self._path))
        return self._local()

    def publish(self) -> None:
        """Writes the local copy to the remote path, if it has changed."""
        with open(self._local(), "rb") as file:
            content = file.read()
        if content == self._published:
            return
        try:
            remote_files.write_remote(self._path, content)
        except Exception as error:  # TensorFlow has its own exception types
            raise OSError(f"{error}") from error
        self._published = content

    def _local(self) -> str:
        return os.path.join(self._folder.name if self._folder else "", "copy")

    def __getstate__(self) -> dict[str, str]:
        return {"_path": self._path}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["_path"])  # type: ignore[misc]
