"""LossHistory."""

import base64
import copy
import importlib.util
import warnings
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from fitwatch import _check, _core, _files
from fitwatch.callbacks._base import Base
from fitwatch.callbacks._compiled import compiled
from fitwatch.callbacks._nested import set_state
from fitwatch.callbacks._stateful import Stateful, optional_whole, to_json, whole


def _losses(value: Any) -> bytes:
    """Base64 of float32 values."""
    try:
        losses = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        losses = b"?"
    if len(losses) % 4:
        raise ValueError("base64 of float32 values")
    return losses


def _epochs(value: Any) -> dict[int, tuple[int, int | None]]:
    """A list with an epoch, its first batch and the batch behind its last in each item."""
    try:
        return {whole(epoch): (whole(start), optional_whole(stop)) for epoch, start, stop in value}
    except (TypeError, ValueError):
        raise ValueError("a list of epochs, first batches and last ones") from None


class LossHistory(Stateful, Base, keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the loss of every batch, and plots it after every epoch.

    What a batch hook finds under `logs["loss"]` is kept as float32, 4 bytes a batch. In Keras that
    is the mean over the epoch so far. With `steps_per_execution=N` a hook runs once in N batches.

    Args:
        plot: Path of a picture of each epoch's batches, written when the epoch ends; None for none.
            `{epoch}` is filled in and counts from 0, as `on_epoch_end` has it. Without a suffix
            that matplotlib knows, `.png` is added. A missing folder is made. Needs matplotlib.
        capacity: Keep only that many of the last losses; None keeps all.
        title: Title of the picture; `{epoch}` is filled in.
        xlabel: What the horizontal axis shows.
        ylabel: What the vertical axis shows.

    Raises:
        ValueError: An argument has a value that is not allowed.
        TypeError: An argument has the wrong type.
        ImportError: `plot` is given and matplotlib is not installed.
        OSError: The folder of `plot` cannot be made or written; raised when training begins.

    Example:
        >>> from fitwatch.callbacks import LossHistory
        >>> history = LossHistory()
        >>> history.on_train_begin()
        >>> history.on_epoch_begin(0)
        >>> history.on_train_batch_end(0, {"loss": 0.5})
        >>> history.losses
        array([0.5], dtype=float32)
    """

    _fitwatch_state: ClassVar = {"first": whole, "losses": _losses, "epochs": _epochs}
    _missing_reported: bool
    # First batch and the batch behind the last (None while it runs), by epoch.
    _spans: dict[int, tuple[int, int | None]]

    def __init__(
        self,
        plot: Any = None,
        *,
        capacity: int | None = None,
        title: str = "Loss in epoch {epoch}",
        xlabel: str = "Batch",
        ylabel: str = "Loss",
    ) -> None:
        super().__init__()
        if plot is not None:
            plot = _check.path("plot", plot)
            if importlib.util.find_spec("matplotlib") is None:
                raise ImportError("plot needs matplotlib: pip install fitwatch[plot]")
            if _files.fields("plot", plot) - {"epoch"}:
                raise ValueError(f"plot must have no field but {{epoch}}; got {plot!r}.")
            try:
                plot.format(epoch=0)
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"plot is no valid format string: {plot!r} ({error}).") from None
        self.plot = plot
        self.capacity = None if capacity is None else _check.count("capacity", capacity, minimum=1)
        self.title = _check.text("title", title, empty=True)
        self.xlabel = _check.text("xlabel", xlabel, empty=True)
        self.ylabel = _check.text("ylabel", ylabel, empty=True)
        self._start_over()

    @property
    def losses(self) -> NDArray[np.float32]:
        """The losses that are kept, in order: a read-only array, shape `(batches,)`."""
        self._fitwatch_drain()
        return self._read(0, len(self._series))

    def epoch(self, epoch: int) -> NDArray[np.float32]:
        """The losses of one epoch, counted from 0: a read-only array, shape `(batches,)`.

        Raises:
            IndexError: The epoch was not trained.
        """
        self._fitwatch_drain()
        if epoch not in self._spans:
            known = f"{min(self._spans)} to {max(self._spans)}" if self._spans else "none yet"
            raise IndexError(f"no epoch {epoch!r}; there are: {known}.")
        start, stop = self._spans[epoch]
        return self._read(start, len(self._series) if stop is None else stop)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts over."""
        self._fitwatch_detach()
        self._start_over()
        super().on_train_begin(logs)
        if self.plot is not None:
            _files.ensure_writable("plot", self.plot)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch begins."""
        super().on_epoch_begin(epoch, logs)
        self._spans[epoch] = (len(self._series), None)

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keeps the loss."""
        self._fitwatch_drain()
        try:
            self._series.append(logs["loss"])
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError):
            self._report_missing(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch ends, and plots it."""
        start, _ = self._spans.get(epoch, (0, None))
        self._spans[epoch] = (start, len(self._series))
        if self.plot is not None:
            self._save_plot(epoch)

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if not self._fitwatch_attach(recorder):
            return NotImplemented
        return _core.Losses(self._series, "loss"), self.on_train_batch_end

    def _save_plot(self, epoch: int) -> None:
        from fitwatch import _plot

        start, _ = self._spans[epoch]
        path = self.plot.format(epoch=epoch)
        losses = self.epoch(epoch)
        try:
            _plot.save_curve(
                path,
                losses,
                first=max(start, self._series.first) - start,
                title=self.title.replace("{epoch}", str(epoch)),
                xlabel=self.xlabel,
                ylabel=self.ylabel,
            )
        except Exception as error:
            # A picture is not worth a training run, whatever is wrong with it.
            warnings.warn(f"LossHistory: no plot of epoch {epoch}: {error}", stacklevel=2)

    def _fitwatch_take(self) -> dict[str, Any]:
        first = self._series.first
        epochs = [[epoch, start, stop] for epoch, (start, stop) in self._spans.items()]
        losses = self._series.tobytes(first, len(self._series))
        return {
            "first": first,
            "losses": base64.b64encode(losses).decode(),
            "epochs": to_json(epochs),
        }

    def _fitwatch_set(self, values: dict[str, Any]) -> None:
        self._series = _core.Series(self.capacity)
        self._series.__setstate__((values["first"], values["losses"]))
        self._spans = dict(values["epochs"])

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        return np.frombuffer(self._series.tobytes(start, stop), dtype=np.float32)

    def _report_missing(self, logs: Any) -> None:
        if not self._missing_reported:
            self._missing_reported = True
            there = (", ".join(logs) if isinstance(logs, dict) else "") or "none"
            warnings.warn(
                "LossHistory: no 'loss' that is a number among the logs of a batch. "
                f"Available: {there}.",
                stacklevel=2,
            )

    def _start_over(self) -> None:
        self._series = _core.Series(self.capacity)
        self._spans = {}
        self._missing_reported = False

    def __setstate__(self, state: Any) -> None:
        set_state(self, state)
        # `copy.copy` hands over the original's own.
        self._series = copy.copy(self._series)
        self._spans = dict(self._spans)
