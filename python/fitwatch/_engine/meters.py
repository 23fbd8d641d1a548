"""Columns that the program measures around each call of the train function."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from fitwatch import _core
from fitwatch._engine.step_kinds import Kind


class Meter(Protocol):
    """Measures the values of some columns, once in a call of the train function."""

    columns: dict[str, Kind]
    """The names of the columns and their kinds; of no kind if they cannot be measured."""

    def begin(self) -> None:
        """Called before a call of the train function."""

    def end(self, batches: int) -> list[float]:
        """Called after a call that has trained some batches, before the hooks.

        Returns:
            A value for each of `columns`, which belongs to the last batch; NaN for no value.
        """


class Metered:
    """A train function with meters around each call.

    Attributes:
        train: The function, which fills the step columns.
    """

    def __init__(self, meters: Iterable[Meter], columns: _core.StepColumns) -> None:
        self.meters = tuple(meters)
        self._columns = columns
        self.train: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        for meter in self.meters:
            meter.begin()
        result = self.train(*args)
        batches = self._columns.batches
        self._columns.measure([value for one in self.meters for value in one.end(batches)])
        return result
