"""Averages over processes of the values that monitors judge."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fitwatch._keras import backend

if TYPE_CHECKING:
    from fitwatch._distributed.coordinator import Coordinator


class AveragedValues:
    """The values that monitors judge: the same in all processes.

    On torch every logged value is local to its process; on JAX only values that a callback has
    added. They are exchanged once in an epoch, when the first shared monitor is called.
    """

    def __init__(self, coordinator: "Coordinator") -> None:
        self._coordinator = coordinator
        # The names that the trainer logs, and the averages of this epoch.
        self._trained: set[str] = set()
        self._means: dict[str, float] = {}

    def begin(self, logs: dict[str, Any]) -> None:
        """Called when an epoch has ended, before any callback sees its logs."""
        self._trained, self._means = set(logs), {}

    def of_epoch(self, epoch: int, names: set[str], logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of an epoch, with averages of the named metrics."""
        own = names if self._coordinator.averages else names - self._trained
        unknown = sorted(own - self._means.keys())
        if unknown:
            # All processes ask again for a name that none of them has, with the next callback.
            self._means.update(self._averages(f"the values of epoch {epoch}", unknown, logs))
        return {**logs, **self._means} if self._means else logs

    def of_batch(self, topic: str, names: list[str], logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of a batch, with averages of the named metrics, for one callback."""
        if not self._coordinator.averages or not names:
            return logs
        return {**logs, **self._averages(topic, names, logs)}

    def _averages(self, topic: str, names: list[str], logs: dict[str, Any]) -> dict[str, float]:
        message = {name: number(logs.get(name)) for name in names}
        answers = self._coordinator.gather(topic, message)
        means = {name: mean(answer.get(name) for answer in answers) for name in names}
        return {name: value for name, value in means.items() if value is not None}


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def number(value: Any) -> float | None:
    """A logged value as a float; None if it is not a number."""
    value = backend.to_number(value)
    return value if isinstance(value, float) else None
