"""An event file that TensorFlow writes, for tools that listen to TensorFlow's summary functions."""

import os
from collections.abc import Callable
from typing import Any

from fitwatch._keras import summary_ops


class ListenedFile:
    """Replaces `_core.EventFile`: has the same methods, and uses TensorFlow's writer.

    `failed` gets exceptions of TensorFlow and of the disk, which must not end the training.
    """

    def __init__(self, folder: str, run: str | None, failed: Callable[[Exception], None]) -> None:
        import tensorflow as tf

        os.makedirs(folder, exist_ok=True)
        before = set(os.listdir(folder))
        suffix = {} if run is None else {"filename_suffix": f".fitwatch.{run}.v2"}
        self.writer = tf.summary.create_file_writer(folder, **suffix)
        self._summary = tf.summary
        self._failed = failed
        mine = f".{os.getpid()}."
        new = sorted(name for name in set(os.listdir(folder)) - before if mine in name)
        self.path = os.path.join(folder, new[0] if new else "")

    def add_scalar(self, tag: str, value: Any, step: int) -> None:
        """Adds one value under `tag`."""
        number = float(value)  # raises for an array with dimensions, which the caller reports
        self._try(lambda: self._summary.scalar(tag, number, step=step))

    def add_event(self, event: bytes) -> None:
        """Adds an encoded `Event`."""
        self._try(lambda: summary_ops.import_event(self.writer, event))

    def request_flush(self) -> None:
        """Writes everything now."""
        self.flush()

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self._try(self.writer.flush)

    def close(self) -> None:
        """Flushes and closes the file."""
        self._try(self.writer.close)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            # Recorded whatever the user's own `record_if` says.
            with self.writer.as_default(), self._summary.record_if(True):
                action()
        except Exception as error:  # TensorFlow has its own exception types
            self._failed(error)
