"""CSVLogger."""

from functools import cached_property
from typing import Any

import keras

from fitwatch import _check, _core, _files
from fitwatch._distributed.callback import FitwatchCallback, begin_fit
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._engine.step_user import OwnLosses
from fitwatch._sinks.csv_table import Table


class CSVLogger(OwnLosses, FitwatchCallback, keras.callbacks.CSVLogger):  # type: ignore[misc]
    r"""Writes the logs of every epoch to a CSV file, and of batches where asked.

    Same arguments, columns and text as `keras.callbacks.CSVLogger`: `epoch`, then the metrics by
    name; without validation, a `val_` column with `NA` for each. Lines end in `\r\n`, as Python's
    `csv` writes them, and the file is UTF-8: read it with `newline=""` and `encoding="utf-8"`.

    Args:
        filename: Where to write, a string or a path. A missing folder is made. A file of its own
            for each logger.
        separator: The character between two fields. Default `","`.
        append: Whether to go on with a file that is there, instead of replacing it. Default False.
        update_freq: `"epoch"` (default); `"batch"` for a row after every batch; or a number of
            batches (1 or more), counted in each epoch. Rows of batches have a column `batch`,
            counted from 0; the row of an epoch has `NA` in it. They reach the file within a tenth
            of a second while batches go on, and when the epoch ends.
        loss: What `loss` is in the rows of batches: Keras's `"running"` (default) mean over the
            epoch so far; or with `"batch"` the loss that each batch really had (see `LossHistory`).
            Then every batch has its row, also where `steps_per_execution=N` trains N of them in one
            call; the other metrics are in the last row of the call, and `NA` in those before.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, with `append=True`, the file is no CSV file with this
            separator and a column `epoch`.
        TypeError: An argument has the wrong type.
        OSError: The file cannot be opened; raised when training begins.
        RuntimeError: An epoch ends before training begins; or another `fit()` that is still going
            on has this callback.

    Differs from Keras:
        - A metric that turns up late gets a column of its own at the end, with `NA` in the rows
          before. Keras drops it.
        - Appending to a file with other columns adds those that are missing, and fills in each row
          by name; a file with a row that is longer than its header is refused. Keras writes the
          values under the wrong names.
        - Appending after a last line without an end, as a crash leaves it, takes that line out and
          shows it in a warning: its last number may be cut short. Keras writes the next row behind
          it.
        - Where a `BackupAndRestore` in the same list takes a run up again, the file goes on behind
          the rows that the backup knows of, whatever `append` is. Keras begins it anew, or has rows
          twice.
        - A file that cannot be written any more is reported once, and training goes on; what is
          kept back (1 MiB at most) is written when there is space again. In Keras it ends the
          training.
        - `keys` are the metrics that have columns; once set, while training goes on, they are the
          metrics that are written, and those without a column get one. `writer` and `csv_file` stay
          None.
        - A remote file (`gs://...`) is written anew, as a whole, at the end of every epoch, through
          TensorFlow as Keras does it; where that is not installed, it is refused at once. With
          Keras's class the training ends in an error.
        - Of several processes that train together, rank 0 alone writes: see
          `fitwatch.distributed`.

    Example:
        >>> import tempfile
        >>> from fitwatch.callbacks import CSVLogger
        >>> logger = CSVLogger(tempfile.mkdtemp() + "/log.csv")
        >>> logger.on_train_begin()
        >>> logger.on_epoch_end(0, {"loss": 0.5})
        >>> logger.on_train_end()
        >>> open(logger.filename).read()
        'epoch,loss,val_loss\n0,0.5,NA\n'
    """

    async_safe = cached_property(is_idle)  # so that a subclass may set it
    _fitwatch_table: Table | None = None
    _fitwatch_rows: _core.Rows | None = None
    # How many rows of the file a backup knows of, which this fit goes on from.
    _fitwatch_keep: int | None = None

    def __init__(
        self,
        filename: Any,
        separator: str = ",",
        append: bool = False,
        *,
        update_freq: str | int = "epoch",
        loss: str = "running",
    ) -> None:
        super().__init__(
            _check.path("filename", filename),
            separator=_check_separator(separator),
            append=_check.flag("append", append),
        )
        self.update_freq = _check.update_frequency("update_freq", update_freq)
        self.loss = _check.loss(loss, self.update_freq)
        remote = _files.is_remote(self.filename)
        self._fitwatch_remote = _files.RemoteFile(self.filename) if remote else None

    @property
    def keys(self) -> list[str] | None:
        """The names of the metrics that have columns; None before the first row.

        Once set, while training goes on, those alone are written.
        """
        table = self._fitwatch_table
        if table is None:
            return self._fitwatch_keys
        return table.metrics or table.columns or None

    @keys.setter
    def keys(self, keys: list[str] | None) -> None:
        if self._fitwatch_table is None:
            self._fitwatch_keys = keys
        else:
            self._fitwatch_table.metrics = keys

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        begin_fit(self)
        self._fitwatch.detach()
        self._fitwatch_close()
        by_batch = self.update_freq != "epoch"
        if by_batch:
            self._fitwatch_watch()
        if self._fitwatch.is_silent:
            return
        table = Table(
            self.filename,
            self._fitwatch_remote,
            separator=self.sep,
            append=self.append,
            keep=self._fitwatch_keep,
            fixed=["epoch", "batch"] if by_batch else ["epoch"],
        )
        self._fitwatch_table, self._fitwatch_keep = table, None
        self.append_header = not table.file.columns
        if by_batch:
            losses = self._fitwatch_losses
            self._fitwatch_rows = _core.Rows(
                1 if self.update_freq == "batch" else int(self.update_freq),
                table.file,
                table.report,
                losses,
                1 if losses is None else losses.steps,
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch, for the rows of its batches."""
        if self._fitwatch_rows is not None:
            self._fitwatch.drain()
            self._fitwatch_rows.epoch = epoch
        super().on_epoch_begin(epoch, logs)
        if self._fitwatch_rows is not None:
            self._fitwatch_rows.losses = self._fitwatch_losses

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes a row, if one is due."""
        super().on_train_batch_end(batch, logs)
        if self._fitwatch_rows is None:
            return
        losses = self._fitwatch_own_losses()
        if losses or self._fitwatch_rows.due(int(batch)):
            self._fitwatch_write_batch(batch, logs, losses)
            if self._fitwatch_table is not None:
                # Without a compiled list nobody flushes when training ends in an exception.
                self._fitwatch_table.flush(publish=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the row of the epoch, and hands everything to the operating system."""
        if self._fitwatch.is_silent:
            return
        if self._fitwatch_table is None:
            raise RuntimeError("CSVLogger: on_train_begin must be called before there are rows.")
        self._fitwatch_table.write({"epoch": epoch}, logs or {})
        self._fitwatch_flush()
        if self._fitwatch_rows is not None:
            self._fitwatch_rows.epoch = epoch + 1  # in a loop that has no `on_epoch_begin`

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the file."""
        super().on_train_end(logs)
        self._fitwatch_close()

    def _fitwatch_write_batch(self, batch: int, logs: Any, losses: list[float]) -> None:
        table, rows = self._fitwatch_table, self._fitwatch_rows
        if table is None or rows is None:
            return
        if not losses:
            table.write({"epoch": rows.epoch, "batch": batch}, logs or {})
            return
        due = rows.due_in_call(int(batch), len(losses))
        first = int(batch) - rows.steps + 1
        for number in due:
            own = {"loss": losses[number - first]} if "loss" in (logs or {}) else {}
            known = logs or {} if number == due[-1] else dict.fromkeys(logs or {}, "NA")
            table.write({"epoch": rows.epoch, "batch": number}, {**known, **own})

    def _fitwatch_close(self) -> None:
        self._fitwatch.drain()
        self._fitwatch_flush()
        keys = self.keys if self._fitwatch_table else None
        self._fitwatch_table = self._fitwatch_rows = None
        self.keys = keys

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if self.update_freq == "epoch" or self._fitwatch.is_silent:
            return None
        if self._fitwatch_rows is None or not self._fitwatch.attach(recorder):
            return NotImplemented
        return self._fitwatch_rows, self._fitwatch_write_batch

    def _fitwatch_flush(self) -> None:
        if self._fitwatch_table is not None:
            self._fitwatch_table.flush(publish=True)

    def _fitwatch_mark(self) -> int | None:
        """How many rows there are, for a backup: they are on the disk then."""
        if self._fitwatch_table is None:
            return None
        self._fitwatch.drain()
        return self._fitwatch_table.sync()

    def _fitwatch_go_on(self, mark: int | None) -> None:
        """Has the next fit go on behind so many rows; those that came later are taken out."""
        self._fitwatch_keep = mark

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        if fit:
            self._fitwatch_close()

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        # A copy opens a file of its own.
        opened = ("_fitwatch_table", "_fitwatch_rows")
        return {name: value for name, value in attributes.items() if name not in opened}, slots


def _check_separator(value: Any) -> str:
    separator = _check.text("separator", value)
    if len(separator) != 1 or separator in '"\r\n':
        raise ValueError(
            f"separator must be one character, no quotation mark and no line end; got {value!r}."
        )
    return separator
