"""Values that each process has for itself, averaged before they are judged."""

from collections.abc import Iterable
from typing import Any, Protocol

from fitwatch._keras import backend


class Ranks(Protocol):
    """The processes of a training."""

    @property
    def averages(self) -> bool:
        """Whether each has logs of its own data."""

    def gather(self, topic: str, message: Any) -> list[Any]:
        """The messages of all ranks."""


class AveragedValues:
    """The values that monitors judge: the same ones in all processes.

    On torch all logs are a process's own; on JAX, only what a callback has added to them. They are
    asked for once in an epoch, when the first of the monitors that all processes have is called.

    Args:
        ranks: The processes.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        # Names in the logs of the trainer itself, and the averages of this epoch.
        self._trained: set[str] = set()
        self._means: dict[str, float] = {}

    def begin(self, logs: dict[str, Any]) -> None:
        """An epoch has ended; no callback has seen its logs yet."""
        self._trained, self._means = set(logs), {}

    def of_epoch(self, epoch: int, names: set[str], logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of an epoch with averages, for monitors of these metrics."""
        own = names if self._ranks.averages else names - self._trained
        unknown = sorted(own - self._means.keys())
        if unknown:
            # A name that nobody has is asked for again by the next callback, everywhere.
            self._means.update(self._averages(f"the values of epoch {epoch}", unknown, logs))
        return {**logs, **self._means} if self._means else logs

    def of_batch(self, topic: str, names: list[str], logs: dict[str, Any]) -> dict[str, Any]:
        """The same for the logs of a batch, for one callback."""
        if not self._ranks.averages or not names:
            return logs
        return {**logs, **self._averages(topic, names, logs)}

    def _averages(self, topic: str, names: list[str], logs: dict[str, Any]) -> dict[str, float]:
        answers = self._ranks.gather(topic, {name: number(logs.get(name)) for name in names})
        means = {name: mean(answer.get(name) for answer in answers) for name in names}
        return {name: value for name, value in means.items() if value is not None}


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there; None if none is."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def number(value: Any) -> float | None:
    """A value of the logs, if it is a number."""
    value = backend.to_number(value)
    return value if isinstance(value, float) else None
