"""A block of rows that `BlockLogger` delivers."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["batch", "validation", "epoch"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Block(Mapping[str, NDArray[Any]]):
    """Some rows of a training, as columns: a mapping of names to NumPy arrays of equal length.

    The arrays are read-only.

    The first three columns are always there, in this order; the others follow by name.

    - `step`, int64: the trained batch of the `fit()`, from 0 and across epochs.
    - `epoch`, int64: the epoch, from 0.
    - `wall_time`, float64: seconds since 1970; of fast batches estimated, within some milliseconds.

    Args:
        kind: `"batch"` for rows of batches; `"validation"` or `"epoch"` for one row, after the last
            trained batch.
        step: The steps, shape `(rows,)`.
        epoch: Their epochs, shape `(rows,)`.
        wall_time: Their times, shape `(rows,)`.
        columns: The other columns by name, float64 of shape `(rows,)`. NaN stands for no value.

    Attributes:
        kind: As above.
        columns: The names of the other columns.

    Example:
        >>> from fitwatch import Block
        >>> block = Block("batch", [0, 1], [0, 0], [1e9, 1e9], {"loss": [0.5, 0.25]})
        >>> list(block), len(block["loss"])
        (['step', 'epoch', 'wall_time', 'loss'], 2)
    """

    def __init__(
        self, kind: Kind, step: Any, epoch: Any, wall_time: Any, columns: Mapping[str, Any]
    ) -> None:
        self.kind: Kind = kind
        self._arrays: dict[str, NDArray[Any]] = {
            "step": _read_only(step, np.int64),
            "epoch": _read_only(epoch, np.int64),
            "wall_time": _read_only(wall_time, np.float64),
        }
        for name, values in columns.items():
            self._arrays.setdefault(name, _read_only(values, np.float64))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._arrays["step"])

    @property
    def columns(self) -> list[str]:
        """The names of the columns besides `step`, `epoch` and `wall_time`."""
        return list(self._arrays)[3:]

    @property
    def nbytes(self) -> int:
        """The bytes of all columns."""
        return sum(values.nbytes for values in self._arrays.values())

    # Comparing arrays gives arrays.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<Block of kind {self.kind!r}: {self.rows} rows of {', '.join(self)}>"


def _read_only(values: Any, dtype: Any) -> NDArray[Any]:
    """A view that cannot be written to: after an error, the same block is delivered again."""
    array = np.asarray(values, dtype).view()
    array.flags.writeable = False
    return array
