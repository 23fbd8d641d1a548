"""What several processes decide together."""

from typing import Any


class Voter:
    """Stands beside `Attachment` for a callback that decides the same in all processes.

    Every method is handed the callback.
    """

    def is_needed(self, callback: Any) -> bool:
        """Whether each process has to have the callback: it changes the model."""
        return False

    def monitored(self, callback: Any) -> list[str]:
        """The names of the metrics of an epoch that it judges."""
        return []

    def decides_within_epoch(self, callback: Any) -> bool:
        """Whether it may decide inside an epoch."""
        return False

    def propose(self, callback: Any, averages: bool) -> Any:
        """What this process has seen since the last time, for the others; None for nothing.

        Args:
            callback: The callback.
            averages: Whether each process has values of its own.
        """
        return None

    def apply(self, callback: Any, votes: list[Any], batch: int, averages: bool) -> None:
        """Decides by what all have seen, in the order of the batches.

        Args:
            callback: The callback.
            votes: What `propose` gave, by rank.
            batch: The last batch that was trained, from 0 and within the epoch.
            averages: As in `propose`.
        """
