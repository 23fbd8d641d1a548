"""LossHistory."""

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitwatch import _check, _files
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._sinks.loss_record import LossRecord
from fitwatch._sinks.loss_recorder import Recording


class LossHistory(FitwatchCallback):
    """Records the per-batch loss, and plots it.

    The loss is the one that the train step passes to Keras's loss tracker: of all outputs, with
    added losses, regularization and sample weights, before loss scaling, as the mean over devices.
    It is stored as float32, 4 bytes a batch, for every batch that `steps_per_execution` trains in
    one call. `logs["loss"]` in Keras's hooks is the mean over the epoch so far.

    If the loss cannot be taken (a custom `train_step` that passes none to a metric, two losses in
    one step, a custom train function), fitwatch warns once, and records the running mean from then
    on. `kind` tells which of them is recorded. In a custom loop, `logs["loss"]` is recorded as
    given.

    `fit()` compiles the train step once more for this, in its current state: Python values that it
    depends on may have changed since Keras compiled it (a `trainable` that was set without a new
    `compile()`).

    Args:
        plot: Path of a picture, or None (default) for none. With `{epoch}` in it, each epoch is
            plotted when it ends; the field counts from 0, as in `on_epoch_end`. Without, the whole
            run is plotted when training ends. `.png` is added if there is no suffix that matplotlib
            knows. A missing folder is made. Needs matplotlib.
        capacity: The number of most recent losses to keep (batches, 1 or more); None (default)
            keeps all.
        title: Title of the picture; `{epoch}` is filled in. None (default) for a descriptive one.
        xlabel: Label of the horizontal axis. Default `"Batch"`.
        ylabel: Label of the vertical axis. Default `"Loss"`.
        loss: `"batch"` (default); or `"running"` for the mean that Keras logs, once in a call of
            the train step.
        columns: What to record besides the loss, one value a batch each: a list of names of metrics
            and of columns of health monitors (`"grad_norm"`); `"all"` for all that there are; None
            (default) for nothing. Of a metric it is the value that the metric has for the batch
            alone, as `train_on_batch()` returns it after `reset_metrics()`, or else the running
            mean. They share `capacity`.

    Raises:
        ValueError: An argument has a value that is not allowed; or the callback is in its list
            twice, which is raised when training begins.
        TypeError: An argument has the wrong type.
        ImportError: `plot` is given and matplotlib is not installed.
        OSError: The folder of `plot` cannot be made or written; raised when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> from fitwatch.callbacks import LossHistory
        >>> history = LossHistory()
        >>> history.on_train_begin()
        >>> history.on_epoch_begin(0)
        >>> history.on_train_batch_end(0, {"loss": 0.5})
        >>> history.losses
        array([0.5], dtype=float32)
        >>> history.epoch(0).shape, history.kind
        ((1,), 'logs')

        Every metric's own value of the batch, after a `fit()` with this callback:

        >>> everything = LossHistory(columns="all")
        >>> everything.kinds
        {'loss': 'logs'}
    """

    # Pickles of earlier versions do not have it.
    columns: Any = None
    _fitwatch_type = Recording
    _fitwatch: Recording
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(
        self,
        plot: Any = None,
        *,
        capacity: int | None = None,
        title: str | None = None,
        xlabel: str = "Batch",
        ylabel: str = "Loss",
        loss: str = "batch",
        columns: Any = None,
    ) -> None:
        super().__init__()
        if plot is not None:
            plot = _check.path("plot", plot)
            if importlib.util.find_spec("matplotlib") is None:
                raise ImportError("plot needs matplotlib: pip install fitwatch[plot]")
            if _files.is_remote(plot):
                raise ValueError(f"plot must be a local path; got {plot!r}.")
            if _files.fields("plot", plot) - {"epoch"}:
                raise ValueError(f"plot must have no field other than {{epoch}}; got {plot!r}.")
            try:
                plot.format(epoch=0)
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"plot is not a valid format string: {plot!r} ({error})."
                ) from None
        self.plot = plot
        self.capacity = None if capacity is None else _check.count("capacity", capacity, minimum=1)
        self.title = None if title is None else _check.text("title", title, empty=True)
        self.xlabel = _check.text("xlabel", xlabel, empty=True)
        self.ylabel = _check.text("ylabel", ylabel, empty=True)
        self.loss = _check.choice("loss", loss, "batch", "running")
        if columns is not None and columns != "all":
            columns = _check.names("columns", columns)
        self.columns = columns
        self._fitwatch.start_over(self)

    @property
    def losses(self) -> NDArray[np.float32]:
        """The recorded losses, in order: a read-only copy, shape `(batches,)`."""
        self._fitwatch.drain()
        return self._fitwatch.record.losses()

    @property
    def kind(self) -> str:
        """The kind of losses: per `"batch"`, `"running"` means, or `"logs"` of a custom loop."""
        self._fitwatch.note_kind(self)
        return self._fitwatch.record.kind

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of the values of each column: see `kind`."""
        self._fitwatch.note_kind(self)
        record = self._fitwatch.record
        return {name: record.kind_of(name) for name in ("loss", *record.columns)}

    def column(self, name: str) -> NDArray[np.float32]:
        """The recorded values of a column.

        Args:
            name: `"loss"`, or the name of a column that `columns` asks for.

        Returns:
            A read-only float32 array of shape `(batches,)`, as long as `losses`. NaN stands for a
            batch that has no value.

        Raises:
            KeyError: There is no such column.

        Example:
            >>> from fitwatch.callbacks import LossHistory
            >>> history = LossHistory(columns=["mae"])
            >>> history.on_train_batch_end(0, {"loss": 0.25, "mae": 0.5})
            >>> history.column("mae")
            array([0.5], dtype=float32)
        """
        self._fitwatch.drain()
        return self._fitwatch.record.column(name)

    def epoch(self, epoch: int) -> NDArray[np.float32]:
        """The losses of one epoch.

        Args:
            epoch: The epoch, from 0.

        Returns:
            A read-only float32 array of shape `(batches,)`, without those that `capacity` has
            dropped.

        Raises:
            IndexError: The epoch was not trained.
        """
        self._fitwatch.drain()
        return self._fitwatch.record.losses(*self._fitwatch.record.span(epoch))

    def to_pandas(self) -> Any:
        """The losses as a table. Needs pandas.

        Returns:
            A `pandas.DataFrame` with columns `epoch` (int32; -1 for batches outside epochs), `loss`
            and those of `columns` (float32), indexed by batch, from 0 and across epochs.

        Raises:
            ImportError: pandas is not installed.

        Example:
            >>> from fitwatch.callbacks import LossHistory
            >>> list(LossHistory().to_pandas())
            ['epoch', 'loss']
        """
        self._fitwatch.drain()
        return self._fitwatch.record.to_pandas()

    def save(self, path: Any) -> None:
        """Writes the record to a file in NumPy's `.npz` format, atomically.

        `numpy.load` reads it: `losses`, float32 of shape `(batches,)`; `first`, the batch of the
        oldest loss; `epochs`, int64 of shape `(epochs, 3)` (epoch, first batch, batch after the
        last, or -1 while it runs); `validation`, float64 of shape `(n, 2)` (batch, value);
        `rate_drops`, float64 of shape `(n, 3)` (batch, rate before, rate after); `kind`; `capacity`
        (-1 for None); `columns`, float32 of shape `(columns, batches)`, with `column_names` and
        `column_kinds`; and `format`, which is 1.

        Args:
            path: The path of the file, a string or a path. A missing folder is made; no suffix is
                added.

        Raises:
            OSError: The file cannot be written; an existing one is unchanged.
            ValueError: `path` is empty or remote (`gs://...`).
            TypeError: `path` is not a path.

        Example:
            >>> import tempfile
            >>> from fitwatch.callbacks import LossHistory
            >>> path = tempfile.mkdtemp() + "/run.npz"
            >>> LossHistory(capacity=1000).save(path)
            >>> LossHistory.load(path).capacity
            1000
        """
        path = _check.path("path", path)
        if _files.is_remote(path):
            raise ValueError(f"path must be a local file; got {path!r}.")
        _files.ensure_writable("path", path)
        self._fitwatch.note_kind(self)
        self._fitwatch.record.save(path)

    @classmethod
    def load(cls, path: Any) -> "LossHistory":
        """Makes a `LossHistory` from a file of `save()`.

        Args:
            path: The file, a string or a path.

        Returns:
            A `LossHistory` with the record and its `capacity`; other arguments have their defaults.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file was not written by `save()`, or has another format.
            TypeError: `path` is not a path.
        """
        record = LossRecord.load(_check.path("path", path))
        history = cls(capacity=record.series.capacity, columns=list(record.columns) or None)
        history._fitwatch.record = record
        return history

    def save_plot(self, path: Any, *, epoch: int | None = None) -> None:
        """Saves a picture of one epoch, or of the whole run.

        The picture shows every spike, however many batches there are: a light band reaches from the
        lowest to the highest loss. The line is the smoothed loss, a bias-corrected exponential
        mean: the weight of a loss halves with every 1% of the shown batches, or every five if that
        is more.

        Args:
            path: The path of the file, a string or a path. Its folder must exist. `.png` is added
                if there is no suffix that matplotlib knows.
            epoch: The epoch, from 0; None (default) for the whole run.

        Raises:
            ImportError: matplotlib is not installed.
            IndexError: The epoch was not trained, or `capacity` has dropped it.
            OSError: The file cannot be written.
            ValueError: `path` is empty.
            TypeError: `path` is not a path.

        Example:
            >>> import tempfile
            >>> from fitwatch.callbacks import LossHistory
            >>> LossHistory().save_plot(tempfile.mkdtemp() + "/run.png")
        """
        from fitwatch._view import plot
        from fitwatch._view.curve import curve_of

        self._fitwatch.note_kind(self)
        curve = curve_of(self._fitwatch.record, epoch)
        title = self.title
        if title is None:
            title = "Loss" if epoch is None else "Loss in epoch {epoch}"
        plot.save_curve(
            _check.path("path", path),
            curve,
            title=title.replace("{epoch}", "" if epoch is None else str(epoch)),
            xlabel=self.xlabel,
            ylabel=self.ylabel,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new record."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)
        if self.plot is not None and not self._fitwatch.is_silent:
            _files.ensure_writable("plot", self.plot)

    @compiled(Recording.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Records the losses of the trained batches."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.see(self, batch, logs)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Notes a validation inside an epoch."""
        self._fitwatch.see_validation()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes the end of the epoch, and plots it if `plot` has a field `{epoch}`."""
        self._fitwatch.end_epoch(self, epoch, logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        """Plots the run, if `plot` has no field."""
        self._fitwatch.note_kind(self)
        super().on_train_end(logs)
        self._fitwatch.plot_run(self)
