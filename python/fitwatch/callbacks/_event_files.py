"""The event files of one run of TensorBoard."""

import os
import socket
import warnings
from collections.abc import Callable
from typing import Any

from fitwatch import _core


class EventFiles:
    """One event file in each sub-folder of `log_dir`, made when it is first written to.

    A file that cannot be written any more is reported once and given up: a log must not end the
    training.

    Args:
        log_dir: The folder of the run.
        before_open: Called with the name of a sub-folder just before a file is made in it.

    Attributes:
        failed: The sub-folders whose file was given up.
    """

    def __init__(self, log_dir: str, before_open: Callable[[str], None]) -> None:
        self._log_dir = log_dir
        self._before_open = before_open
        self._open: dict[str, _core.EventFile] = {}
        self.failed: set[str] = set()
        self._not_scalar: set[str] = set()

    def open(self, folder: str) -> _core.EventFile:
        """The open file in a sub-folder; a new one at first.

        Raises:
            OSError: It cannot be made.
        """
        file = self._open.get(folder)
        if file is None:
            self._before_open(folder)
            file = _core.EventFile(os.path.join(self._log_dir, folder), socket.gethostname())
            self._open[folder] = file
        return file

    def add_scalar(self, folder: str, tag: str, value: Any, step: int) -> None:
        """Adds a value; one that is no scalar is reported once for its tag and left out."""
        if folder in self.failed:
            return
        try:
            self.open(folder).add_scalar(tag, value, step)
        except OSError as error:
            self.give_up(folder, error)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # whatever float() raises
            if tag not in self._not_scalar:
                self._not_scalar.add(tag)
                warnings.warn(
                    f"TensorBoard: {tag!r} is left out: no scalar: {value!r}", stacklevel=2
                )

    def add_event(self, folder: str, event: bytes) -> None:
        """Adds an encoded event."""
        if folder in self.failed:
            return
        try:
            self.open(folder).add_event(event)
        except OSError as error:
            self.give_up(folder, error)

    def flush(self) -> None:
        """Hands everything to the operating system."""
        for folder, file in self._open.items():
            if folder in self.failed:
                continue
            try:
                file.flush()
            except OSError as error:
                self.give_up(folder, error)

    def close(self) -> None:
        """Flushes and closes the files; what is written later goes to new ones."""
        self.flush()
        self._open.clear()

    def give_up(self, folder: str, error: OSError) -> None:
        """Reports that the file in a sub-folder cannot be written, which ends it."""
        self.failed.add(folder)
        warnings.warn(
            "TensorBoard: an event file cannot be written any more, and training goes on without "
            f"it: {error}",
            stacklevel=3,
        )
