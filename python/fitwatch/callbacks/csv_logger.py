"""CSVLogger."""

from functools import cached_property
from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._distributed.callback import FitwatchCallback, begin_fit
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._sinks.csv_rows import CsvRows, form


class CSVLogger(FitwatchCallback, keras.callbacks.CSVLogger):  # type: ignore[misc]
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
    ) -> None:
        super().__init__(
            _check.path("filename", filename),
            separator=_check_separator(separator),
            append=_check.flag("append", append),
        )
        self.update_freq = _check.update_frequency("update_freq", update_freq)
        self.loss = _check.loss(loss, self.update_freq)
        if _files.is_remote(self.filename):
            self._fitwatch.remote = _files.RemoteFile(self.filename)

    @property
    def keys(self) -> list[str] | None:
        """The names of the metrics that have columns; None before the first row.

        Once set, while training goes on, those alone are written.
        """
        return self._fitwatch.keys

    @keys.setter
    def keys(self, keys: list[str] | None) -> None:
        self._fitwatch.keys = keys

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        begin_fit(self)
        self._fitwatch.begin(self)

    @compiled(form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes a row, if one is due."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.see(batch, logs)

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
