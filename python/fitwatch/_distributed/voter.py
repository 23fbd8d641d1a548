"""The interface of callbacks whose decisions several processes take together."""

from typing import Any


class Voter:
    """Mixed into the attachment of a callback that must decide the same in all processes."""

    def is_needed(self, callback: Any) -> bool:
        """Whether every process must have the callback, since it changes the model."""
        return False

    def monitored(self, callback: Any) -> list[str]:
        """The names of the metrics that the callback judges by epoch."""
        return []

    def decides_within_epoch(self, callback: Any) -> bool:
        """Whether the callback may decide inside an epoch."""
        return False

    def propose(self, callback: Any, averages: bool) -> Any:
        """What this process has seen since the last agreement, for the others; None for nothing.

        Args:
            callback: The callback.
            averages: Whether each process logs values of its own data.
        """
        return None

    def apply(self, callback: Any, votes: list[Any], batch: int, averages: bool) -> None:
        """Decides by what all processes have seen, in the order of the batches.

        Args:
            callback: The callback.
            votes: The results of `propose`, by rank.
            batch: The last trained batch, from 0 and within the epoch.
            averages: As in `propose`.
        """
