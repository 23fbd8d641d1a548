"""CSVLogger."""

from functools import cached_property
from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._distributed.callback import FitwatchCallback, begin_fit
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._sinks.csv_rows import CsvRows


class CSVLogger(FitwatchCallback, keras.callbacks.CSVLogger):  # type: ignore[misc]
    r"""Writes the logs of every epoch to a CSV file, and optionally those of batches.

    Same arguments, columns and text as `keras.callbacks.CSVLogger`: `epoch`, then the metrics by
    name; without validation, a `val_` column with `NA` for each. Lines end in `\r\n`, as Python's
    `csv` writes them, and the file is UTF-8: read it with `newline=""` and `encoding="utf-8"`.

    Args:
        filename: The path of the file, a string or a path, which no other logger may use. A missing
            folder is made.
        separator: The character between two fields. Default `","`.
        append: Whether to append to an existing file, instead of replacing it. Default False.
        update_freq: `"epoch"` (default); `"batch"` for a row after every batch; or a number of
            batches (1 or more), counted in each epoch. Rows of batches have a column `batch`,
            counted from 0, which is `NA` in the row of an epoch. They reach the file within a tenth
            of a second during training, and when the epoch ends. A validation inside an epoch (see
            `Validation`) has a row too, with its batch and its metrics.
        loss: The `loss` in the rows of batches: `"running"` (default) is Keras's mean over the
            epoch so far, `"batch"` the per-batch loss (see `LossHistory`). With `"batch"`, every
            batch has its row even if `steps_per_execution=N` trains N of them in one call; the
            other metrics are in the last row of the call, and `NA` in those before.
        metrics: The same for the other metrics: `"running"` (default) writes Keras's means over the
            epoch so far, `"batch"` the value that each metric has for the batch alone (see
            `LossHistory`). Columns do not change.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, with `append=True`, the file is not a CSV file with
            this separator and a column `epoch`.
        TypeError: An argument has the wrong type.
        OSError: The file cannot be opened; raised when training begins.
        RuntimeError: An epoch ends before training begins; or another running `fit()` uses this
            callback.

    Differs from Keras:
        - A metric that first appears later gets a new column at the end, with `NA` in earlier rows.
          Keras drops it.
        - Appending to a file with other columns adds the missing ones, and fills in rows by name; a
          file with a row that is longer than its header is refused. Keras writes the values under
          the wrong names.
        - Appending after an unterminated last line, as a crash leaves it, removes that line with a
          warning that shows it: its last number may be incomplete. Keras appends the next row to
          that line.
        - When a `BackupAndRestore` in the same list resumes a run, the file continues after the
          rows that the backup knows of, whatever `append` is. Keras replaces the file, or has rows
          twice.
        - A write error is reported once, and training goes on; buffered rows (1 MiB at most) are
          written when there is space again. In Keras it ends the training.
        - `keys` are the metrics that have columns; set during training, they are the metrics to
          write, and those without a column get one. `writer` and `csv_file` stay None.
        - A remote file (`gs://...`) is rewritten at the end of every epoch, through TensorFlow as
          in Keras; without TensorFlow it is refused at once. With Keras's class the training ends
          with an error.
        - Of several processes that train together, only rank 0 writes: see `fitwatch.distributed`.

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

    # Pickles of earlier versions do not have it.
    metrics = "running"
    _fitwatch_type = CsvRows
    _fitwatch: CsvRows
    async_safe = cached_property(is_idle)  # so that a subclass may set it

    def __init__(
        self,
        filename: Any,
        separator: str = ",",
        append: bool = False,
        *,
        update_freq: str | int = "epoch",
        loss: str = "running",
        metrics: str = "running",
    ) -> None:
        super().__init__(
            _check.path("filename", filename),
            separator=_check_separator(separator),
            append=_check.flag("append", append),
        )
        self.update_freq = _check.update_frequency("update_freq", update_freq)
        self.loss = _check.batch_values("loss", loss, self.update_freq)
        self.metrics = _check.batch_values("metrics", metrics, self.update_freq)
        if _files.is_remote(self.filename):
            self._fitwatch.remote = _files.RemoteFile(self.filename)

    @property
    def keys(self) -> list[str] | None:
        """The names of the metrics that have columns; None before the first row.

        Set during training, only these metrics are written.
        """
        return self._fitwatch.keys

    @keys.setter
    def keys(self, keys: list[str] | None) -> None:
        self._fitwatch.keys = keys

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        begin_fit(self)
        self._fitwatch.begin(self)

    @compiled(CsvRows.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes a row, if one is due."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.see(self, batch, logs)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Writes a row of a validation inside an epoch, if there are rows of batches."""
        self._fitwatch.see_validation(self, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the row of the epoch, and hands everything to the operating system."""
        self._fitwatch.end_epoch(epoch, logs or {})


def _check_separator(value: Any) -> str:
    separator = _check.text("separator", value)
    if len(separator) != 1 or separator in '"\r\n':
        raise ValueError(
            f"separator must be one character, no quotation mark and no line end; got {value!r}."
        )
    return separator
