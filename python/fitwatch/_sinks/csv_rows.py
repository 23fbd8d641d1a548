"""The rows that `CSVLogger` writes."""

from typing import Any

from fitwatch import _core, _files
from fitwatch._checkpoint.run_state import RunState
from fitwatch._engine import readers
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment, attachment_of
from fitwatch._engine.step_user import StepUser
from fitwatch._sinks.csv_table import Table


class RowsState(RunState):
    """How many rows the file of a run has."""

    def mark(self, callback: Any) -> int | None:
        """How many rows there are, once they are on disk."""
        own = callback._fitwatch
        if own.table is None:
            return None
        own.drain()
        rows: int = own.table.sync()
        return rows

    def go_on(self, callback: Any, mark: int | None) -> None:
        """Makes the next fit continue after this many rows; later rows are removed."""
        callback._fitwatch.keep = mark


class CsvRows(Attachment):
    """The attachment of `CSVLogger`.

    Attributes:
        table: The file during a fit; None in a process that does not write.
        remote: The file, if only Keras's file layer can open it.
        keep: The number of rows in a backup, after which the next fit continues.
    """

    left_out = Attachment.left_out | {"table", "_rows"}

    table: Table | None = None
    remote: _files.RemoteFile | None = None
    keep: int | None = None
    # Rows of batches, where they are wanted.
    _rows: _core.Rows | None = None
    # The names of the metrics, outside a fit.
    _keys: list[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.steps = StepUser()
        self.state = RowsState()

    @property
    def keys(self) -> list[str] | None:
        """The names of the metrics that have columns."""
        if self.table is None:
            return self._keys
        return self.table.metrics or self.table.columns or None

    @keys.setter
    def keys(self, keys: list[str] | None) -> None:
        if self.table is None:
            self._keys = keys
        else:
            self.table.metrics = keys

    def begin(self, callback: Any) -> None:
        """Opens the file.

        Raises:
            OSError: It cannot be opened.
            ValueError: With `append`, the file has another header.
        """
        self.detach()
        self.train_end(callback)
        by_batch = callback.update_freq != "epoch"
        spikes = by_batch and any(
            one.brings_spikes for one in map(attachment_of, self.siblings()) if one is not None
        )
        if by_batch:
            self.steps.begin(callback)
        if self.is_silent:
            return
        self.table = Table(
            callback.filename,
            self.remote,
            separator=callback.sep,
            append=callback.append,
            keep=self.keep,
            fixed=_fixed(by_batch=by_batch, spikes=spikes),
        )
        self.keep = None
        callback.append_header = not self.table.file.columns
        if by_batch:
            source = self.steps.source
            self._rows = _core.Rows(
                1 if callback.update_freq == "batch" else int(callback.update_freq),
                self.table.file,
                self.table.report,
                1 if source is None else source.steps,
                spikes,
            )

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        if self._rows is not None:
            self.drain()
            self._rows.epoch = epoch

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Writes a row of a batch, if one is due."""
        if self._rows is None or self.table is None:
            return
        self.drain()
        if self._feed(callback).push(batch, logs, self._write, readers.reader()):
            # In a stock list no hook flushes after an exception.
            self.table.flush(publish=False)

    def see_validation(self, callback: Any, logs: dict[str, Any]) -> None:
        """Writes the row of a validation inside an epoch; the epoch's own is in the epoch's row."""
        joined, table = after_batches(self.callback_list), self.table
        if joined is None or table is None or callback.update_freq == "epoch":
            return
        validations = joined.validations
        if not validations.is_epochs_own:
            self.drain()
            row = {"epoch": validations.epoch, "batch": validations.batch}
            table.write(row, validations.values, logs)
            table.flush(publish=False)

    def end_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Writes the row of an epoch.

        Raises:
            RuntimeError: The training has not begun.
        """
        if self.is_silent:
            return
        if self.table is None:
            raise RuntimeError("CSVLogger: on_train_begin must be called before there are rows.")
        self.table.write({"epoch": epoch}, logs)
        self.flush()
        if self._rows is not None:
            self._rows.epoch = epoch + 1  # in a loop that has no `on_epoch_begin`

    def _write(self, batch: int, logs: dict[str, Any]) -> None:
        table, rows = self.table, self._rows
        if table is not None and rows is not None:
            row = {"epoch": rows.epoch, "batch": batch}
            spike = rows.spike(batch)
            table.write(row if spike is None else {**row, "spike": spike}, logs)

    def spike_seen(self, batch: int, value: float) -> None:
        if self._rows is not None:
            self._rows.mark(batch, value)

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        if callback.update_freq == "epoch" or self.is_silent:
            return None
        if self._rows is None or not self.attach(recorder):
            return NotImplemented
        return self._feed(callback), self._write

    def _feed(self, callback: Any) -> _core.Feed:
        return self.steps.feed(callback, self._rows)

    def flush(self) -> None:
        if self.table is not None:
            self.table.flush(publish=True)

    def train_end(self, callback: Any) -> None:
        self.drain()
        self.flush()
        keys = self.keys if self.table else None
        self.table = self._rows = None
        self.keys = keys


def _fixed(*, by_batch: bool, spikes: bool) -> list[str]:
    """The columns that are no metrics."""
    return ["epoch"] + ["batch"] * by_batch + ["spike"] * spikes
