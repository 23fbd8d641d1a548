"""The CSV file of one run of CSVLogger."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fitwatch import _core, _files
from fitwatch._engine.step_kinds import is_health
from fitwatch._keras import backend
from fitwatch._sinks.at_exit import call_at_exit
from fitwatch._warn import warn


class Table:
    """A CSV file with a few fixed columns, and a column for every metric that appears.

    With `append`, or a number of rows to `keep`, it continues an existing file. A write error is
    reported once: a log must not end the training.
    """

    def __init__(
        self,
        path: str,
        remote: _files.RemoteFile | None,
        *,
        separator: str,
        append: bool,
        keep: int | None,
        fixed: list[str],
    ) -> None:
        self._path = path
        self._remote = remote
        # The columns that are not metrics.
        self._fixed = fixed
        # Subjects of warnings that were given.
        self._warned: set[str] = set()
        # Whether columns could not be added in this epoch.
        self._narrow = False
        # The metrics to write, in order; None for all.
        self.metrics: list[str] | None = None
        try:
            if append or keep is not None:
                self.file = self._open(separator, keep)
            else:
                self.file = _core.CsvFile(self._local(keep=False), separator)
        except OSError as error:
            if error.filename is None:
                raise
            raise OSError(error.errno, f"filename: {error.strerror}", error.filename) from error
        call_at_exit(self.file, "flush")

    @property
    def columns(self) -> list[str]:
        """The names of the metrics that have columns."""
        return [name for name in self.file.columns if name not in self._fixed]

    def write(self, row: dict[str, Any], logs: dict[Any, Any], others: Iterable[str] = ()) -> None:
        """Adds a row of fixed columns and metrics, and missing columns; also those of `others`."""
        values = {_text(name): value for name, value in logs.items()}
        for name in self._fixed:
            if values.pop(name, row) is not row:
                self._warn_once(
                    "name",
                    f"the metric {name!r} is left out: the column of that name has the number of "
                    f"the {name}.",
                )
        columns = self.file.columns
        if self.metrics is not None:
            metrics = [name for name in self.metrics if name not in self._fixed]
            values = {name: values[name] for name in metrics if name in values}
        elif columns:
            metrics = sorted({*values, *others} - set(columns))
        else:
            metrics = sorted({*values, *others})
            if not any(name.startswith("val_") for name in metrics):
                # As in Keras: there may be a validation later.
                # Keras writes such a column for the learning rate too, which is in its logs.
                own = [name for name in metrics if is_health(name) and name != "learning_rate"]
                metrics += [f"val_{name}" for name in metrics if name not in own]
        self._add_columns([name for name in [*self._fixed, *metrics] if name not in columns])
        values |= row
        try:
            self.file.add_row({name: _text(value) for name, value in values.items()})
        except OSError as error:
            self.report(error)

    def flush(self, *, publish: bool) -> None:
        """Hands everything to the operating system; with `publish`, also writes a remote file."""
        self._narrow = self._narrow and not publish
        try:
            self.file.flush()
            if publish and self._remote is not None:
                self._remote.publish()
        except OSError as error:
            self.report(error)

    def sync(self) -> int:
        """Writes everything to the disk; returns the number of rows."""
        try:
            self.file.sync()
        except OSError as error:
            self.report(error)
        return self.file.rows

    def report(self, error: OSError) -> None:
        """Warns once that the file cannot be written."""
        self._warn_once("file", f"{self._path!r} cannot be written, and training goes on: {error}")

    def _local(self, *, keep: bool) -> str:
        if self._remote is not None:
            return self._remote.open(keep=keep)
        folder = os.path.dirname(self._path)
        _core.clean(folder or ".")
        # An existing folder may be read-only while the file can be written.
        if not os.path.isdir(folder or "."):
            _files.ensure_writable_folder("filename", folder)
        return self._path

    def _open(self, separator: str, keep: int | None) -> _core.CsvFile:
        file, torn = _core.CsvFile.append(self._local(keep=True), separator, self._fixed[0], keep)
        if keep is not None and file.rows < keep:
            self._warn_once(
                "rows", f"{self._path!r} has {file.rows} rows, but the backup knows of {keep}."
            )
        if torn is not None:
            text, kept = torn
            what = "was completed" if kept else "was removed"
            self._warn_once(
                "torn", f"the last line of {self._path!r} was cut short, and {what}: {text!r}"
            )
        return file

    def _add_columns(self, names: list[str]) -> None:
        if not names or self._narrow:
            return
        try:
            self.file.add_columns(names)
        except OSError as error:
            # It rewrites the whole file, so it is not tried again for every row.
            self._narrow = True
            self.report(error)

    def _warn_once(self, subject: str, message: str) -> None:
        if subject not in self._warned:
            self._warned.add(subject)
            warn(f"CSVLogger: {message}")


def _text(value: Any) -> str:
    """A value as Keras writes it into a field."""
    if type(value) is float or type(value) is int:
        return repr(value)
    if type(value) is str and value.isascii():
        return value
    if value is None:
        return ""
    if getattr(value, "shape", None) == () and not isinstance(value, (np.ndarray, np.generic)):
        value = backend.to_number(value)  # a tensor
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if isinstance(value, str):
        text = value
    elif isinstance(value, Iterable) and not scalar:
        text = f'"[{", ".join(map(str, value))}]"'
    else:
        text = str(value)
    # Lone surrogates cannot be encoded.
    return text.encode("utf-8", "backslashreplace").decode()
