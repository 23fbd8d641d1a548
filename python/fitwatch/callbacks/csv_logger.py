"""CSVLogger."""

import os
import warnings
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from fitwatch import _check, _core, _files, _keras
from fitwatch._drop_in import DropIn
from fitwatch.callbacks._base import Base
from fitwatch.callbacks._compiled import compiled


class CSVLogger(Base, keras.callbacks.CSVLogger, metaclass=DropIn):  # type: ignore[misc]
    r"""Writes the logs of every epoch to a CSV file, and of batches where asked.

    Same arguments, columns and text as `keras.callbacks.CSVLogger`: `epoch`, then the metrics by
    name; without validation, a `val_` column with `NA` for each. Lines end in `\r\n`, as Python's
    `csv` writes them, and the file is UTF-8: read it with `newline=""` and `encoding="utf-8"`.

    Args:
        filename: Where to write. A missing folder is made.
        separator: The character between two fields.
        append: Whether to go on with a file that is there, instead of replacing it.
        update_freq: `"epoch"`; `"batch"` for a row after every batch; or a number of batches (1 or
            more), counted in each epoch. Rows of batches have a column `batch`, counted from 0;
            the row of an epoch has `NA` in it. They reach the file within a tenth of a second while
            batches go on, and when the epoch ends.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins with
            `append=True`, the file is no CSV file with this separator and a column `epoch`.
        TypeError: An argument has the wrong type.
        OSError: The file cannot be opened; raised when training begins.

    Differs from Keras:
        - A metric that turns up late gets a column of its own at the end, with `NA` in the rows
          before. Keras drops it.
        - Appending to a file with other columns adds those that are missing, and fills in each row
          by name. Keras writes the values under the wrong names.
        - Appending after a last line without an end, as a crash leaves it, takes that line out and
          shows it in a warning: its last number may be cut short. Keras writes the next row behind
          it.
        - A file that cannot be written any more is reported once, and training goes on; what is
          kept back is written when there is space again. In Keras it ends the training.
        - `keys` are the metrics that have columns; `writer` and `csv_file` stay None.
        - A remote file (`gs://...`) is written anew, as a whole, at the end of every epoch, through
          TensorFlow as Keras does it; where that is not installed, it is refused at once. With
          Keras's class the training ends in an error.

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

    _fitwatch_file: _core.CsvFile | None = None

    def __init__(
        self,
        filename: Any,
        separator: str = ",",
        append: bool = False,
        *,
        update_freq: str | int = "epoch",
    ) -> None:
        super().__init__(
            _check.path("filename", filename),
            separator=_check_separator(separator),
            append=_check.flag("append", append),
        )
        if not isinstance(update_freq, str):
            update_freq = _check.count("update_freq", update_freq, minimum=1)
        elif update_freq not in ("epoch", "batch"):
            allowed = "'epoch', 'batch' or a whole number of 1 or more"
            raise ValueError(f"update_freq must be {allowed}; got {update_freq!r}.")
        self.update_freq = update_freq
        remote = _files.is_remote(self.filename)
        self._fitwatch_remote = _files.RemoteFile(self.filename) if remote else None
        self._fitwatch_rows: _core.Rows | None = None
        # What was warned of in this fit.
        self._fitwatch_said: set[str] = set()
        # Whether columns could not be added in this epoch.
        self._fitwatch_narrow = False

    @property
    def keys(self) -> list[str] | None:
        """The names of the metrics that have columns; None before the first row.

        Once set, while training goes on, those alone are written.
        """
        if self._fitwatch_keys is not None or self._fitwatch_file is None:
            return self._fitwatch_keys
        fixed = self._fitwatch_fixed_columns()
        return [name for name in self._fitwatch_file.columns if name not in fixed] or None

    @keys.setter
    def keys(self, keys: list[str] | None) -> None:
        self._fitwatch_keys = keys

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        self._fitwatch_begin_fit()
        self._fitwatch_detach()
        self._fitwatch_close()
        self._fitwatch_keys = None
        self._fitwatch_said.clear()
        self._fitwatch_narrow = False
        self._fitwatch_rows = None
        self._fitwatch_file = self._fitwatch_open()
        self.append_header = not self._fitwatch_file.columns
        if self.update_freq != "epoch":
            every = 1 if self.update_freq == "batch" else int(self.update_freq)
            self._fitwatch_rows = _core.Rows(every, self._fitwatch_report)
            self._fitwatch_rows.file = self._fitwatch_file

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch, for the rows of its batches."""
        if self._fitwatch_rows is not None:
            self._fitwatch_drain()
            self._fitwatch_rows.epoch = epoch
        super().on_epoch_begin(epoch, logs)

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes a row, if one is due."""
        if self._fitwatch_rows is not None and self._fitwatch_rows.due(int(batch)):
            self._fitwatch_write_batch(batch, logs)
            # Without a compiled list nobody flushes when training ends in an exception.
            self._fitwatch_flush_file()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the row of the epoch, and hands everything to the operating system."""
        self._fitwatch_narrow = False
        self._fitwatch_write({"epoch": epoch}, logs or {})
        self._fitwatch_flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the file."""
        super().on_train_end(logs)
        self._fitwatch_close()

    def _fitwatch_open(self) -> _core.CsvFile:
        if self._fitwatch_remote is None:
            path = self.filename
            folder = os.path.dirname(path)
            if not os.path.isdir(folder or "."):
                _files.ensure_writable_folder("filename", folder)
        else:
            path = self._fitwatch_remote.open(keep=self.append)
        if not self.append:
            return _core.CsvFile(path, self.sep)
        file, torn = _core.CsvFile.append(path, self.sep, "epoch")
        if torn is not None:
            text, kept = torn
            what = "has its end again" if kept else "was taken out"
            warnings.warn(
                f"CSVLogger: the last line of {self.filename!r} was cut short, and {what}: "
                f"{text!r}",
                stacklevel=3,
            )
        return file

    def _fitwatch_fixed_columns(self) -> list[str]:
        """The columns that are no metrics."""
        return ["epoch"] if self._fitwatch_rows is None else ["epoch", "batch"]

    def _fitwatch_write_batch(self, batch: Any, logs: Any) -> None:
        if self._fitwatch_rows is not None:
            self._fitwatch_write({"epoch": self._fitwatch_rows.epoch, "batch": batch}, logs or {})

    def _fitwatch_write(self, row: dict[str, Any], logs: dict[Any, Any]) -> None:
        """Writes one row, with new columns where they are needed."""
        file = self._fitwatch_file
        if file is None:
            raise RuntimeError("CSVLogger: on_train_begin must be called before there are rows.")
        fixed = self._fitwatch_fixed_columns()
        values = {_text(name): value for name, value in logs.items()}
        for name in values.keys() & set(fixed):
            self._fitwatch_say_once(
                "name",
                f"CSVLogger: the metric {name!r} is left out: a column of that name has the number "
                f"of the {name}.",
            )
        metrics = sorted(values.keys() - set(fixed))
        columns = file.columns
        if self._fitwatch_keys is not None:
            metrics = [name for name in self._fitwatch_keys if name not in fixed]
        elif not columns and not any(name.startswith("val_") for name in metrics):
            # As Keras has it: there may be a validation later.
            metrics += [f"val_{name}" for name in metrics]
        new = [name for name in [*fixed, *metrics] if name not in columns]
        if new and not self._fitwatch_narrow:
            try:
                file.add_columns(new)
            except OSError as error:
                self._fitwatch_narrow = True
                self._fitwatch_report(error)
        row |= {name: values[name] for name in metrics if name in values}
        fields = {name: _text(value) for name, value in row.items()}
        try:
            file.add_row(fields)
        except OSError as error:
            self._fitwatch_report(error)

    def _fitwatch_report(self, error: OSError) -> None:
        """Says once in a fit that the file cannot be written, which must not end the training."""
        self._fitwatch_say_once(
            "file",
            f"CSVLogger: {self.filename!r} cannot be written, and training goes on: {error}",
        )

    def _fitwatch_say_once(self, subject: str, message: str) -> None:
        if subject not in self._fitwatch_said:
            self._fitwatch_said.add(subject)
            warnings.warn(message, stacklevel=4)

    def _fitwatch_close(self) -> None:
        self._fitwatch_drain()
        self._fitwatch_flush()
        self._fitwatch_keys = self.keys
        self._fitwatch_file = None
        if self._fitwatch_rows is not None:
            self._fitwatch_rows.file = None

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if self._fitwatch_rows is None:
            return None
        if not self._fitwatch_attach(recorder):
            return NotImplemented
        return self._fitwatch_rows, self._fitwatch_write_batch

    def _fitwatch_flush(self) -> None:
        self._fitwatch_flush_file(publish=True)

    def _fitwatch_flush_file(self, *, publish: bool = False) -> None:
        if self._fitwatch_file is None:
            return
        try:
            self._fitwatch_file.flush()
            if publish and self._fitwatch_remote is not None:
                self._fitwatch_remote.publish()
        except OSError as error:
            self._fitwatch_report(error)

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        if fit:
            self._fitwatch_close()

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        # A copy opens a file of its own.
        opened = ("_fitwatch_file", "_fitwatch_rows")
        return {k: None if k in opened else v for k, v in attributes.items()}, slots


def _check_separator(value: Any) -> str:
    separator = _check.text("separator", value)
    if len(separator) != 1 or separator in '"\r\n':
        raise ValueError(
            f"separator must be one character, no quotation mark and no line end; got {value!r}."
        )
    return separator


def _text(value: Any) -> str:
    """A value as Keras writes it in a field."""
    if value is None:
        return ""
    if getattr(value, "shape", None) == () and not isinstance(value, (np.ndarray, np.generic)):
        value = _keras.to_number(value)  # a tensor
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if isinstance(value, str):
        text = value
    elif isinstance(value, Iterable) and not scalar:
        text = f'"[{", ".join(map(str, value))}]"'
    else:
        text = str(value)
    # What is no valid Unicode (half a pair) cannot be in the file as it is.
    return text.encode("utf-8", "backslashreplace").decode()
