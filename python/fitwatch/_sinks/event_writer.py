"""EventFileWriter."""

import socket
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fitwatch import _check, _core
from fitwatch._sinks.at_exit import call_at_exit

# Values of a series that are converted at once.
_CHUNK = 1 << 16


class EventFileWriter(_core.EventFile):
    """Writes scalars for TensorBoard from a custom loop, without TensorFlow.

    Every writer creates a new event file. Values are encoded at once, and a thread writes them
    within a tenth of a second, whole records at a time; a killed process loses no more than that. A
    write error does not end the training: the writer warns once, with the path, and tries again.

    Methods may be called from any thread. A forked child process writes nothing.

    `add_scalar(tag, scalar_value, global_step=None, walltime=None)` adds one value. `tag` is the
    name of its series; `scalar_value` a number, or an array of shape `()`, which is written as
    float32; `global_step` a 64-bit integer, None for 0; `walltime` the time in seconds since 1970,
    None for now. It raises a TypeError for other types, an OverflowError for a number that is too
    large, and a ValueError if the writer is closed. `flush()` waits until the operating system has
    everything. `close()`, which the end of a `with` block calls, also closes the file.

    The file has TensorFlow's `TFRecord` format: for each event its length, a masked CRC-32C of
    that, an `Event` of TensorBoard's `event.proto`, and a masked CRC-32C of it. Scalars are the
    bytes that `tf.summary.scalar` writes.

    Args:
        log_dir: The folder to write to, a string or a path: one run of TensorBoard. It is created
            if it is missing.

    Attributes:
        path: The file, a `pathlib.Path`.

    Raises:
        TypeError: `log_dir` is not a path.
        ValueError: `log_dir` is empty, or on remote storage (`gs://...`).
        OSError: The folder or the file cannot be created.

    Example:
        >>> import tempfile
        >>> import fitwatch
        >>> with fitwatch.EventFileWriter(tempfile.mkdtemp()) as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("loss", 1 / (step + 1), step)
        ...     writer.add_series("accuracy", [0.5, 0.75, 0.875], range(3))
        >>> writer.path.name.startswith("events.out.tfevents.")
        True
    """

    __slots__ = ()

    def __new__(cls, log_dir: Any) -> Self:
        """Creates the file."""
        file = super().__new__(cls, _check.folder("log_dir", log_dir), socket.gethostname())
        call_at_exit(file, "flush")
        return file

    # `add_scalar` is inherited from the core, so that a call is as cheap as possible.

    def add_series(self, tag: str, values: Any, steps: Any, walltime: float | None = None) -> None:
        """Adds many values under one tag.

        Args:
            tag: The name of the series.
            values: An array or a list of numbers, shape `(n,)`. They are written as float32.
            steps: An array of 64-bit integers, shape `(n,)`, or a range.
            walltime: The time of all values, in seconds since 1970; None (default) for now.

        Raises:
            TypeError: `tag` is not a string, `values` are not real numbers, `steps` are not
                integers, or `walltime` is not a number.
            ValueError: An array has another shape, a step is too large, or the writer is closed.

        Example:
            >>> import tempfile
            >>> import fitwatch
            >>> with fitwatch.EventFileWriter(tempfile.mkdtemp()) as writer:
            ...     writer.add_series("loss", [1.0, 0.5], [0, 1])
        """
        values, steps = np.asarray(values), np.asarray(steps)
        _require("values", values, "numbers", "biuf")
        _require("steps", steps, "whole numbers", "iu")
        if len(values) != len(steps):
            raise ValueError(
                "values and steps must have the same length; "
                f"got {len(values)} values and {len(steps)} steps."
            )
        if steps.dtype.kind == "u" and steps.max(initial=0) > np.iinfo("int64").max:
            raise ValueError(f"steps must fit into 64 bits with a sign; got {steps.max()}.")
        # At least one chunk, so that a wrong tag and a closed writer are errors.
        for first in range(0, len(values) or 1, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            numbers = np.ascontiguousarray(values[chunk], "float32")
            super().add_series(tag, numbers, np.ascontiguousarray(steps[chunk], "int64"), walltime)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _require(name: str, array: NDArray[Any], what: str, kinds: str) -> None:
    # NumPy makes an array of floats of an empty list.
    if array.size and array.dtype.kind not in kinds:
        raise TypeError(f"{name} must be {what}; got an array of {array.dtype}.")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got the shape {array.shape}.")
