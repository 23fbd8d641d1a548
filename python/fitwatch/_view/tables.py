"""Recorded runs as tables: Arrow, Parquet, CSV and pandas."""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fitwatch import _check, _files

if TYPE_CHECKING:
    from fitwatch._view.runs import Run, Scalars

# The number of rows in a group of a Parquet file: what a query reads or skips at once.
ROW_GROUP = 2**20


class Table:
    """What has runs, and therefore is a table of points."""

    def _runs(self) -> "list[Run]":
        raise NotImplementedError

    def to_pandas(self, *, wide: bool = False) -> Any:
        """The points as a `pandas.DataFrame`: `run`, `tag`, `step`, `wall_time` and `value`.

        Args:
            wide: Whether to make a column of each tag instead. The index is the step, of several
                runs the run and the step; a value is NaN where a tag has no point at a step.
                Default False.

        Raises:
            ImportError: pandas is not installed.
            ValueError: `wide`, and with `keep_superseded` a tag has steps that go back.
        """
        return to_pandas(self._runs(), wide=wide)

    def to_arrow(self) -> Any:
        """The points as a `pyarrow.Table`, without a copy of steps, times and float32 values.

        Its columns are `run` and `tag` (dictionaries of strings), `step` (int64), `wall_time`
        (float64; NaN where the file has none) and `value`: float32, or float64 if any tag has it.

        Raises:
            ImportError: pyarrow is not installed.
        """
        return to_arrow(self._runs())

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The table of `to_arrow()`, for libraries that take Arrow's C stream."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_parquet(self, path: Any) -> None:
        """Writes the table of `to_arrow()` into a Parquet file, which appears as a whole.

        Args:
            path: The path of the file, a string or a path. Its folder must exist.

        Raises:
            ImportError: pyarrow is not installed.
            OSError: The file cannot be written.
        """
        parquet = _arrow("to_parquet()", "parquet")
        # Dictionaries of all chunks become one.
        table = self.to_arrow().unify_dictionaries()
        _files.write_whole(
            _check.path("path", path),
            lambda file: parquet.write_table(
                table, file, row_group_size=ROW_GROUP, compression="zstd"
            ),
        )

    def to_csv(self, path: Any) -> None:
        """Writes the table of `to_arrow()` into a CSV file, which appears as a whole.

        Args:
            path: The path of the file, a string or a path. Its folder must exist.

        Raises:
            ImportError: pyarrow is not installed.
            OSError: The file cannot be written.
        """
        csv = _arrow("to_csv()", "csv")
        table = self.to_arrow()
        _files.write_whole(_check.path("path", path), lambda file: csv.write_csv(table, file))


def to_arrow(runs: "Sequence[Run]") -> Any:
    """See `Table.to_arrow`."""
    arrow = _arrow("to_arrow()")
    points = list(_points(runs))
    value = arrow.float64() if _has_float64(points) else arrow.float32()
    text = arrow.dictionary(arrow.int32(), arrow.string())
    # One array of zeros is the index of every point into a dictionary of one string.
    zeros = arrow.array(np.zeros(max((len(one) for *_, one in points), default=0), dtype=np.int32))

    def constant(string: str, length: int) -> Any:
        return arrow.DictionaryArray.from_arrays(zeros.slice(0, length), [string])

    columns = {
        "run": ([constant(run, len(one)) for run, _, one in points], text),
        "tag": ([constant(tag, len(one)) for _, tag, one in points], text),
        "step": ([arrow.array(one.steps) for *_, one in points], arrow.int64()),
        "wall_time": ([arrow.array(one.wall_times) for *_, one in points], arrow.float64()),
        "value": ([arrow.array(one.values, type=value) for *_, one in points], value),
    }
    return arrow.table(
        {name: arrow.chunked_array(chunks, type=kind) for name, (chunks, kind) in columns.items()}
    )


def to_pandas(runs: "Sequence[Run]", *, wide: bool) -> Any:
    """See `Table.to_pandas`."""
    if importlib.util.find_spec("pandas") is None:
        raise ImportError("to_pandas() needs pandas: pip install pandas")
    import pandas as pd

    points = list(_points(runs))
    if wide:
        return _wide(pd, points, several=len(runs) != 1)
    lengths = [len(one) for *_, one in points]
    value = np.float64 if _has_float64(points) else np.float32

    def names(at: Literal[0, 1]) -> Any:
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(one[at], len(numbers)) for one in points]
        return pd.Categorical.from_codes(np.repeat(np.array(codes, np.int32), lengths), [*numbers])

    def joined(arrays: list[Any], dtype: Any) -> Any:
        return np.concatenate(arrays, dtype=dtype) if arrays else np.empty(0, dtype)

    return pd.DataFrame(
        {
            "run": names(0),
            "tag": names(1),
            "step": joined([one.steps for *_, one in points], np.int64),
            "wall_time": joined([one.wall_times for *_, one in points], np.float64),
            "value": joined([one.values for *_, one in points], value),
        }
    )


def _wide(pd: Any, points: "list[tuple[str, str, Scalars]]", *, several: bool) -> Any:
    """A column of each tag; the index is the step, with the run before it if there are several."""
    frames: dict[str, dict[str, Any]] = {}
    for run, tag, one in points:
        if len(one.segments) > 1:
            raise ValueError(
                f"wide: the tag {tag!r} of run {run!r} has points whose steps go back; read "
                "without keep_superseded, or use wide=False."
            )
        frames.setdefault(run, {})[tag] = pd.Series(one.values, index=one.steps)
    tables = {run: pd.DataFrame(columns) for run, columns in frames.items()}
    if several:
        return pd.concat(tables, names=["run", "step"]) if tables else pd.DataFrame()
    return next(iter(tables.values()), pd.DataFrame()).rename_axis("step")


def _points(runs: "Sequence[Run]") -> "Iterator[tuple[str, str, Scalars]]":
    for run in runs:
        for tag, scalars in run.scalars.items():
            yield run.name, tag, scalars


def _has_float64(points: "list[tuple[str, str, Scalars]]") -> bool:
    return any(one.values.dtype == np.float64 for *_, one in points)


def _arrow(what: str, module: str | None = None) -> Any:
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError(f"{what} needs pyarrow: pip install pyarrow")
    return importlib.import_module("pyarrow" if module is None else f"pyarrow.{module}")
