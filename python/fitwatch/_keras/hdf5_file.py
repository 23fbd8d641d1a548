"""A file for HDF5, which does not handle write errors."""

import io
import os
from typing import Any


class Hdf5File(io.BytesIO):
    """A file on the disk that defers its first write error until it is closed.

    HDF5 swallows write errors, or ends the process when it closes a file that it could not write.
    Here its writes succeed, and `close` raises the error.

    (It is a `BytesIO` since Keras accepts no other object as a file.)

    Args:
        path: The path of the file; an existing one is replaced.

    Raises:
        OSError: The file cannot be created.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        self._file = open(os.open(path, flags, 0o666), "r+b", buffering=0)  # noqa: SIM115
        self._error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sets the position in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in the file."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Reads; bytes that could not be written are 0."""
        view = memoryview(buffer).cast("B")
        read = self._file.readinto(view) or 0
        view[read:] = bytes(len(view) - read)
        return len(view)

    def write(self, data: Any) -> int:
        """Writes, unless an earlier write failed."""
        view = memoryview(data).cast("B")
        written = 0
        try:
            while self._error is None and written < len(view):
                written += self._file.write(view[written:]) or 0
        except OSError as error:
            self._error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Sets the size of the file."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def flush(self) -> None:
        """Does nothing: there is no buffer."""

    def close(self) -> None:
        """Closes the file.

        Raises:
            OSError: A write failed.
        """
        error, self._error = self._error, None
        self._file.close()
        super().close()
        if error is not None:
            raise error
