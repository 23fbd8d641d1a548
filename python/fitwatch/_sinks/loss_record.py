"""The record of a run in `LossHistory`."""

import base64
import copy
import importlib.util
import math
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitwatch import _core, _files
from fitwatch._checkpoint.state_values import optional_whole, to_json, whole

FORMAT = 1


class LossRecord:
    """The losses of a run, with its epochs, validations and reductions of the learning rate.

    Batches are counted from 0 and across epochs.

    Args:
        capacity: The number of most recent losses to keep; None for all.
        columns: Names of columns to keep besides the loss; `"all"` for all that there are.
    """

    def __init__(self, capacity: int | None, columns: Iterable[str] = ()) -> None:
        self.series = _core.Series(capacity)
        self.keeps_all = columns == "all"
        named = [] if self.keeps_all else [name for name in columns if name != "loss"]
        # The columns besides the loss, each with a value for each batch that has a loss.
        self.columns = {name: _core.Series(capacity) for name in named}
        # What kind of values a column has.
        self.kinds: dict[str, str] = {}
        # The first batch and the batch after the last (None while it runs), by epoch.
        self.epochs: dict[int, tuple[int, int | None]] = {}
        # Batch and value of each validation.
        self.validation: list[tuple[int, float]] = []
        # Batch, rate before and rate after, of each reduction of the learning rate.
        self.rate_drops: list[tuple[int, float, float]] = []
        self.kind = "logs"

    @cached_property
    def sink(self) -> _core.Losses:
        """The core's part, which appends the values."""
        series = [("loss", self.series), *self.columns.items()]
        return _core.Losses(series, self._add_column if self.keeps_all else None)

    def _add_column(self, name: str) -> _core.Series:
        """A new column, as long as the losses."""
        series = self.columns[name] = _core.Series(self.series.capacity)
        missing = np.full(len(self.series) - self.series.first, np.nan, dtype=np.float32)
        series.__setstate__((self.series.first, missing.tobytes()))
        return series

    def column(self, name: str) -> NDArray[np.float32]:
        """The kept values of a column.

        Raises:
            KeyError: There is no such column.
        """
        if name != "loss" and name not in self.columns:
            raise KeyError(f"no column {name!r}; there are: {', '.join(['loss', *self.columns])}.")
        series = self.series if name == "loss" else self.columns[name]
        return np.frombuffer(series.tobytes(0, len(series)), dtype=np.float32)

    def losses(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """The kept losses of a range of batches, as a read-only array."""
        end = len(self.series) if stop is None else stop
        return np.frombuffer(self.series.tobytes(start, end), dtype=np.float32)

    def kind_of(self, column: str) -> str:
        """The kind of a column: values of batches, running means, or as logged by a loop."""
        return self.kind if column == "loss" else self.kinds.get(column, "logs")

    def span(self, epoch: int) -> tuple[int, int]:
        """The first batch of an epoch, and the batch after its last.

        Raises:
            IndexError: The epoch was not trained.
        """
        if epoch not in self.epochs:
            known = f"{min(self.epochs)} to {max(self.epochs)}" if self.epochs else "none yet"
            raise IndexError(f"no epoch {epoch!r}; there are: {known}.")
        start, stop = self.epochs[epoch]
        return start, len(self.series) if stop is None else stop

    def end_epoch(self, epoch: int, validation: float | None) -> None:
        """Notes that an epoch has ended, and the value of its validation."""
        start, _ = self.epochs.get(epoch, (0, None))
        self.epochs[epoch] = (start, len(self.series))
        if validation is not None and len(self.series):
            self.validation.append((len(self.series) - 1, validation))

    def best(self) -> tuple[int, int, float] | None:
        """The best epoch, its last batch and its value: validation, or else mean loss."""
        if self.validation:
            ends = {stop - 1: epoch for epoch, (_, stop) in self.epochs.items() if stop is not None}
            values = [(ends.get(batch), batch, value) for batch, value in self.validation]
        else:
            values = [
                (epoch, stop - 1, self._epoch_loss(start, stop))
                for epoch, (start, stop) in self.epochs.items()
                if stop is not None and max(start, self.series.first) < stop
            ]
        known = [(epoch, batch, value) for epoch, batch, value in values if epoch is not None]
        return min(
            (one for one in known if math.isfinite(one[2])), key=lambda one: one[2], default=None
        )

    def _epoch_loss(self, start: int, stop: int) -> float:
        losses = self.losses(start, stop)
        # The last running mean is that of the whole epoch.
        return float(losses.mean(dtype=np.float64) if self.kind == "batch" else losses[-1])

    def to_pandas(self) -> Any:
        """The losses as a `pandas.DataFrame`."""
        if importlib.util.find_spec("pandas") is None:
            raise ImportError("to_pandas() needs pandas: pip install pandas")
        import pandas as pd

        first, last = self.series.first, len(self.series)
        index = pd.RangeIndex(first, last, name="batch")
        epochs = np.full(last - first, -1, dtype=np.int32)
        for epoch, (start, stop) in self.epochs.items():
            behind = last if stop is None else stop
            epochs[max(start - first, 0) : max(behind - first, 0)] = epoch
        values = {"loss": self.losses(), **{name: self.column(name) for name in self.columns}}
        return pd.DataFrame({"epoch": epochs, **values}, index=index)

    def save(self, path: str) -> None:
        """Writes everything into an `.npz` file."""
        epochs = [
            (epoch, start, -1 if stop is None else stop)
            for epoch, (start, stop) in self.epochs.items()
        ]
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "kind": np.array(self.kind),
            "losses": self.losses(),
            "first": np.array(self.series.first),
            "capacity": np.array(-1 if self.series.capacity is None else self.series.capacity),
            "epochs": np.array(epochs, dtype=np.int64).reshape(-1, 3),
            "validation": np.array(self.validation, dtype=np.float64).reshape(-1, 2),
            "rate_drops": np.array(self.rate_drops, dtype=np.float64).reshape(-1, 3),
            "column_names": np.array(list(self.columns), dtype=np.str_),
            "column_kinds": np.array([self.kind_of(name) for name in self.columns], dtype=np.str_),
            "columns": np.array(
                [self.column(name) for name in self.columns], dtype=np.float32
            ).reshape(len(self.columns), len(self.series) - self.series.first),
        }
        _files.write_whole(path, lambda file: np.savez(file, **arrays))

    @classmethod
    def load(cls, path: str) -> "LossRecord":
        """Reads a file of `save`.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file was not written by `save`.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            known = arrays["format"].item()
            if known == FORMAT:
                return cls._of(arrays)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{path!r} is not a file of LossHistory.save(): {error!r}.") from None
        raise ValueError(f"{path!r} has format {known!r}; this fitwatch knows format {FORMAT}.")

    @classmethod
    def _of(cls, arrays: dict[str, Any]) -> "LossRecord":
        capacity = int(arrays["capacity"])
        record = cls(None if capacity < 0 else capacity)
        losses = arrays["losses"].astype(np.float32, casting="no")
        record.series.__setstate__((int(arrays["first"]), losses.tobytes()))
        record.kind = str(arrays["kind"])
        # Files of earlier versions have no columns.
        columns = zip(
            arrays.get("column_names", ()),
            arrays.get("column_kinds", ()),
            arrays.get("columns", ()),
            strict=True,
        )
        for name, kind, values in columns:
            series = record.columns[str(name)] = _core.Series(record.series.capacity)
            values = values.astype(np.float32, casting="no")
            if len(values) != len(losses):
                raise ValueError(f"the column {name} has {len(values)} values")
            series.__setstate__((int(arrays["first"]), values.tobytes()))
            record.kinds[str(name)] = str(kind)
        record.epochs = {
            int(epoch): (int(start), None if stop < 0 else int(stop))
            for epoch, start, stop in arrays["epochs"]
        }
        record.validation = [(int(at), float(value)) for at, value in arrays["validation"]]
        record.rate_drops = [
            (int(at), float(before), float(after)) for at, before, after in arrays["rate_drops"]
        ]
        return record

    def state(self) -> dict[str, Any]:
        """The whole record, as JSON."""
        losses = self.series.tobytes(self.series.first, len(self.series))
        return {
            "kind": self.kind,
            "first": self.series.first,
            "losses": base64.b64encode(losses).decode(),
            **({"columns": self._state_of_columns()} if self.columns else {}),
            "epochs": to_json([[epoch, *span] for epoch, span in self.epochs.items()]),
            "validation": to_json(self.validation),
            "rate_drops": to_json(self.rate_drops),
        }

    def _state_of_columns(self) -> dict[str, list[str]]:
        return {
            name: [self.kind_of(name), base64.b64encode(self.column(name).tobytes()).decode()]
            for name in self.columns
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Sets the parts of a state, after `READERS` have converted them."""
        self.kind = values["kind"]
        self.series.__setstate__((values["first"], values["losses"]))
        for name, (kind, column) in values.get("columns", {}).items():
            if self.keeps_all or name in self.columns:
                self._add_column(name).__setstate__((values["first"], column))
                self.kinds[name] = kind
        self.epochs = dict(values["epochs"])
        self.validation = list(values["validation"])
        self.rate_drops = list(values["rate_drops"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "sink"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"columns": {}, "kinds": {}, "keeps_all": False, **state})

    def __copy__(self) -> "LossRecord":
        twin = type(self).__new__(type(self))
        twin.__setstate__({name: copy.copy(value) for name, value in self.__getstate__().items()})
        twin.columns = {name: copy.copy(series) for name, series in self.columns.items()}
        return twin


# Converters of the parts of a state from JSON.


def _kind(value: Any) -> str:
    """The kind of the record."""
    if value not in ("batch", "running", "logs"):
        raise ValueError("'batch', 'running' or 'logs'")
    return str(value)


def _losses(value: Any) -> bytes:
    """The bytes of float32 values, from base64."""
    try:
        losses = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        losses = b"?"
    if len(losses) % 4:
        raise ValueError("base64 of float32 values")
    return losses


def _columns(value: Any) -> dict[str, tuple[str, bytes]]:
    """Kind and bytes of each column."""
    try:
        return {str(name): (_kind(kind), _losses(text)) for name, (kind, text) in value.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError("a dict of columns, each with its kind and its values") from None


def _epochs(value: Any) -> dict[int, tuple[int, int | None]]:
    """Spans of epochs, from items of epoch, first batch and the batch after the last."""
    try:
        return {whole(epoch): (whole(start), optional_whole(stop)) for epoch, start, stop in value}
    except (TypeError, ValueError):
        raise ValueError("a list of epochs, first batches and last ones") from None


def _points(width: int) -> Any:
    def points(value: Any) -> list[tuple[Any, ...]]:
        """A list of tuples of a batch and numbers."""
        try:
            if any(len(item) != width for item in value):
                raise ValueError
            return [(whole(batch), *map(float, rest)) for batch, *rest in value]
        except (TypeError, ValueError):
            raise ValueError(f"a list of batches with {width - 1} numbers each") from None

    return points


# Parts that states of earlier versions do not have.
NEW = frozenset({"columns"})

READERS: dict[str, Callable[[Any], Any]] = {
    "kind": _kind,
    "first": whole,
    "losses": _losses,
    "columns": _columns,
    "epochs": _epochs,
    "validation": _points(2),
    "rate_drops": _points(3),
}
