"""Recorded runs, as columns: `fitwatch.read`."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitwatch import _check, _core
from fitwatch._view import tables
from fitwatch._warn import warn

V = TypeVar("V")


def read(path: Any, *, keep_superseded: bool = False) -> "Runs":
    """Reads recorded runs: every point of every scalar, as NumPy arrays.

    Reads event files of TensorFlow 2, Keras, fitwatch, tensorboardX, torch and others; CSV files of
    `CSVLogger`; and `.npz` files of `LossHistory.save()`. A folder is searched with all folders in
    it, as TensorBoard does. All checksums are verified. What is damaged is left out, with one
    warning for each file: a record whose data are damaged; or, if its length is, the rest of the
    file. The end of a file that is being written may be missing.

    A run that was restarted has several files, read in the byte order of their names. As in
    TensorBoard, a point drops all earlier points of its tag whose step is not smaller. A second
    `fit()` that counts its steps from 0 again thus hides the first one: see `continue_steps` of
    `TensorBoard`.

    Args:
        path: A file, the folder of a run, or a folder with runs.
        keep_superseded: Whether to keep the points that later ones drop, in the order of the files;
            `Scalars.segments` tells where steps go back. Default False.

    Returns:
        A mapping of names to runs. A run is named by its folder below `path`, `"."` for `path`
        itself; a CSV or `.npz` file by its path without the suffix, its columns being the tags.
        Their steps are epochs or batches from 0, batches counted across epochs.

    Raises:
        OSError: There is no such path, or it cannot be read.
        ValueError: Nothing that can be read is there, or the file is of another kind.
        TypeError: `path` is not a path.

    Example:
        >>> import tempfile
        >>> import fitwatch
        >>> folder = tempfile.mkdtemp()
        >>> with fitwatch.EventFileWriter(folder + "/train") as writer:
        ...     writer.add_series("loss", [0.5, 0.25], range(2))
        >>> runs = fitwatch.read(folder)
        >>> loss = runs["train"].scalars["loss"]
        >>> loss.steps, loss.values
        (array([0, 1]), array([0.5 , 0.25], dtype=float32))
    """
    reader = _core.RunReader(_check.path("path", path), keep_superseded=bool(keep_superseded))
    runs = Runs(reader)
    runs._warn()
    return runs


@dataclass(frozen=True, eq=False, repr=False)
class Scalars:
    """The points of one tag. The arrays are read-only, and stay as they are after a `refresh()`.

    Attributes:
        steps: The steps, int64, of shape `(points,)`; strictly increasing, within each segment.
        values: The values, float32 of the same shape; float64 if the file has float64 or integers
            of 32 bits or more.
        wall_times: The times in seconds since the Unix epoch, float64 of the same shape; NaN where
            the file has none.
        segments: The parts between which steps go back: one slice, unless `keep_superseded`.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.floating]
    wall_times: NDArray[np.float64]
    segments: tuple[slice, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return "<Scalars: no points>"
        return f"<Scalars: {len(self):,} points, steps {self.steps[0]} to {self.steps[-1]}>"


class Text(NamedTuple):
    """A text at a step.

    Attributes:
        step: The step.
        wall_time: The time in seconds since the Unix epoch.
        lines: The texts of the summary's tensor, in order.
    """

    step: int
    wall_time: float
    lines: tuple[str, ...]


class Items(Mapping[str, V], Generic[V]):
    """A mapping whose values are made when they are looked up."""

    def __init__(self, names: Callable[[], list[str]], item: Callable[[str], V]) -> None:
        self._names, self._item = names, item

    def __getitem__(self, name: str) -> V:
        return self._item(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{name!r}: {self[name]!r}' for name in self)}}}"


class Run(tables.Table):
    """One run.

    Attributes:
        name: Its name, as TensorBoard shows it.
    """

    def __init__(self, reader: _core.RunReader, name: str) -> None:
        self._reader = reader
        self.name = name

    @property
    def scalars(self) -> Mapping[str, Scalars]:
        """The scalars by tag."""
        return Items(lambda: self._reader.tags(self.name), self._scalars)

    @property
    def text(self) -> dict[str, list[Text]]:
        """The texts by tag, ascending by step."""
        return {
            tag: [Text(step, time, tuple(lines)) for step, time, lines in texts]
            for tag, texts in self._reader.texts(self.name).items()
        }

    @property
    def hparams(self) -> dict[str, float | str | bool]:
        """The hyperparameters by name, as TensorBoard's plugin `hparams` records them."""
        return self._reader.hparams(self.name)

    def plot(self, tag: str, path: Any = None, *, title: str | None = None) -> Any:
        """Draws a tag as `LossHistory.save_plot` draws losses: every spike is visible.

        Args:
            tag: The tag.
            path: Where to save the picture; None (default) for nowhere. `.png` is added if there is
                no suffix that matplotlib knows.
            title: The title. Default: the name of the run.

        Returns:
            The `matplotlib.figure.Figure`, which a notebook shows.

        Raises:
            ImportError: matplotlib is not installed.
            KeyError: There is no such tag.
            OSError: The file cannot be written.
        """
        if importlib.util.find_spec("matplotlib") is None:
            raise ImportError("plot() needs matplotlib: pip install 'fitwatch[plot]'")
        from fitwatch._view import run_plot

        return run_plot.draw(self, tag, path, title)

    def _scalars(self, tag: str) -> Scalars:
        *arrays, restarts = self._reader.arrays(self.name, tag)
        steps, values, times = map(_numbers, arrays)
        edges = [0, *restarts, len(steps)]
        segments = tuple(slice(*pair) for pair in pairwise(edges))
        return Scalars(steps, values, times, segments)

    def _runs(self) -> "list[Run]":
        return [self]

    def __repr__(self) -> str:
        return f"<Run {self.name!r}: {', '.join(self.scalars)}>"


class Runs(tables.Table, Mapping[str, Run]):
    """Recorded runs by name, ascending: see `fitwatch.read`."""

    def __init__(self, reader: _core.RunReader) -> None:
        self._reader = reader

    def __getitem__(self, name: str) -> Run:
        self._reader.version(name)  # raises a KeyError
        return Run(self._reader, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._reader.names())

    def __len__(self) -> int:
        return len(self._reader.names())

    def refresh(self) -> bool:
        """Reads what was added since, also new files, in a time that depends on that only.

        Arrays that were handed out stay as they are. A tag whose arrays are still in use is copied
        when points are added to it.

        Returns:
            Whether anything has changed.

        Raises:
            OSError: The path is gone.
        """
        changed = self._reader.refresh()
        self._warn()
        return changed

    def _runs(self) -> list[Run]:
        return list(self.values())

    def _warn(self) -> None:
        for warning in self._reader.take_warnings():
            warn(warning)

    def __repr__(self) -> str:
        return f"<Runs: {', '.join(self) or 'none'}>"


def _numbers(array: _core.Array) -> NDArray[Any]:
    # Buffers have a type from Python 3.12 on.
    return np.frombuffer(array, dtype=array.dtype)  # type: ignore[call-overload,no-any-return]
