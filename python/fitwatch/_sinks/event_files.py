"""The event files of one run of TensorBoard."""

import glob
import os
import socket
import time
import zlib
from typing import Any

from fitwatch import _core, _files
from fitwatch._engine.attachment import attachment_of
from fitwatch._keras import stock
from fitwatch._keras.summary_ops import is_listened_to
from fitwatch._sinks.at_exit import call_at_exit
from fitwatch._sinks.listened_file import ListenedFile
from fitwatch._sinks.tf_summary import SummaryWriter
from fitwatch._warn import warn

EventFile = _core.EventFile | ListenedFile


class EventFiles:
    """One event file in each subfolder of `log_dir`, created when it is first written to.

    The name of a `run` becomes part of the files' names. An error is reported once: a log must not
    end the training.
    """

    def __init__(self, log_dir: str, run: str | None = None, *, writes: bool = True) -> None:
        self._log_dir = log_dir
        # False where another process writes: then there are no files.
        self.writes = writes
        self._run = run
        self._open: dict[str, EventFile] = {}
        self._writers: dict[str, SummaryWriter] = {}
        self._failed: set[str] = set()
        self._not_scalar: set[str] = set()
        self._has_reported = False

    def open(self, folder: str) -> EventFile:
        """The open file in a subfolder, created if necessary.

        TensorFlow writes it if a tool listens to TensorFlow's summary functions.
        """
        file = self._open.get(folder)
        if file is None:
            path = os.path.join(self._log_dir, folder)
            if is_listened_to():
                file = ListenedFile(path, self._run, self._report_failure)
            else:
                file = _core.EventFile(path, socket.gethostname(), self._run)
                call_at_exit(file, "flush")
            self._open[folder] = file
        return file

    def summary_writer(self, folder: str) -> SummaryWriter:
        """A TensorFlow writer whose events go to the file in a subfolder."""
        writer = self._writers.get(folder)
        if writer is None:
            writer = self._writers[folder] = SummaryWriter(
                lambda: self.open(folder), self._report_failure
            )
        return writer

    def add_scalar(self, folder: str, tag: str, value: Any, step: int) -> None:
        """Adds a value; one that is not a scalar is left out and reported once for its tag."""
        file = self.file(folder)
        if file is None:
            return
        try:
            file.add_scalar(tag, value, step)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # whatever float() raises
            if tag not in self._not_scalar:
                self._not_scalar.add(tag)
                warn(f"TensorBoard: {tag!r} is left out: it is not a scalar: {value!r}")

    def add_event(self, folder: str, event: bytes) -> None:
        """Adds an encoded event."""
        file = self.file(folder)
        if file is not None:
            file.add_event(event)

    def request_flush(self) -> None:
        """Starts to write everything, without waiting."""
        for writer in self._writers.values():
            writer.flush()
        for file in self._open.values():
            file.request_flush()

    def flush(self) -> None:
        """Hands everything to the operating system."""
        for writer in self._writers.values():
            writer.flush()
        for file in self._open.values():
            file.flush()

    def close(self) -> None:
        """Flushes and closes the files; what is written later goes to new ones."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        for file in self._open.values():
            file.close()
        self._open.clear()

    def mark(self) -> dict[str, Any]:
        """The sizes of all files of the run, of this process and earlier ones."""
        self.flush()
        sizes = {name: os.path.getsize(os.path.join(self._log_dir, name)) for name in self._all()}
        return {"time": int(time.time()), "files": sizes}

    def cut(self, mark: dict[str, Any]) -> None:
        """Removes what was written since a mark, from files of the run that are not open."""
        if not self.writes:
            return
        own = {os.path.abspath(file.path) for file in self._open.values()}
        for name in self._all():
            path = os.path.join(self._log_dir, name)
            if os.path.abspath(path) in own:
                continue
            size = mark["files"].get(name)
            try:
                if size is not None:
                    _shorten(path, size)
                elif _second(name) >= mark["time"]:
                    os.unlink(path)
            except OSError as error:
                warn(f"TensorBoard: points written since the backup cannot be removed: {error}")

    def _all(self) -> list[str]:
        """The files of the run, relative to `log_dir`."""
        if self._run is None:
            return []
        pattern = os.path.join("*", f"events.out.tfevents.*.fitwatch.{self._run}.*")
        return sorted(glob.glob(pattern, root_dir=self._log_dir))

    def file(self, folder: str) -> EventFile | None:
        """The file in a subfolder; None if it cannot be created, which is reported once."""
        if not self.writes or folder in self._failed:
            return None
        try:
            return self.open(folder)
        except OSError as error:
            self._failed.add(folder)
            warn(f"TensorBoard: an event file cannot be created; training goes on without: {error}")
            return None

    def _report_failure(self, error: Exception) -> None:
        """Reports once that TensorFlow's writers cannot write."""
        if not self._has_reported:
            self._has_reported = True
            warn(f"TensorBoard: tf.summary cannot be written: {error}")

    def is_listened_to(self, folder: str) -> bool:
        """Whether TensorFlow writes the file in a subfolder."""
        return isinstance(self.file(folder), ListenedFile)


def _shorten(path: str, size: int) -> None:
    if f".{os.getpid()}.fitwatch." not in os.path.basename(path):
        if os.path.getsize(path) > size:
            os.truncate(path, size)
        return
    # A failed fit of this process may still write to the file: it keeps the old one.
    with _files.replacing(path) as temporary, open(path, "rb") as old, open(temporary, "xb") as new:
        new.write(old.read(size))


def _second(name: str) -> int:
    """The time of an event file's creation, by its name."""
    return int(os.path.basename(name).split(".")[3])


def run_name(callbacks: list[Any]) -> str | None:
    """A name that is the same after a resume; None for a run that cannot be resumed."""
    for callback in stock.instances(callbacks, "BackupAndRestore"):
        if attachment_of(callback) is not None:
            return f"{zlib.crc32(os.path.abspath(callback.backup_dir).encode()):08x}"
    return None
