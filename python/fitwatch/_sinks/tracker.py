"""An action of `BlockLogger` that connects to a tracker of experiments."""

from typing import Any

from fitwatch._sinks.block import Block


class Tracker:
    """Stores blocks in a tracker. Only the process that writes has its methods called.

    Attributes:
        state: What a backup keeps of it, as JSON values. A resumed run sets it before `begin`.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def begin(self, callback: Any) -> None:
        """Called when training begins.

        Args:
            callback: The logger; its `model` and `params` are set.
        """

    def __call__(self, block: Block) -> None:
        """Stores a block. Called again with the same block if it raises."""
        raise NotImplementedError

    def end(self, *, failed: bool) -> None:
        """Called after the last block.

        Args:
            failed: Whether the training has ended by an exception.
        """
