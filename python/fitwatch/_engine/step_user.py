"""A callback's use of the values that leave the train step for every batch."""

from typing import Any

from fitwatch._engine import readers
from fitwatch._engine.attachment import Part, attachment_of
from fitwatch._engine.step_backends import watch
from fitwatch._engine.step_values import BatchLoss
from fitwatch._keras import trainer


class StepUser(Part):
    """Takes the losses of batches while a `fit()` goes on, if the callback's `loss` says so.

    The callback calls `begin` when training begins.

    Attributes:
        losses: Where they are found; None outside a fit, and where running means are wanted.
        inexact: Whether some losses of this fit could not be taken.
    """

    losses: BatchLoss | None = None
    inexact = False

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.inexact = False
        self.take(callback)

    def take(self, callback: Any) -> None:
        """Finds out where the losses are."""
        if self.is_wanted(callback):
            self.losses = watch(self, trainer.model_of(callback), quiet=self.is_quiet(callback))
        else:
            self.losses = None

    def is_wanted(self, callback: Any) -> bool:
        """Whether the callback wants them."""
        return bool(callback.loss == "batch")

    def is_quiet(self, callback: Any) -> bool:
        """Whether it can do without, so that nothing is said where they cannot be taken."""
        return False

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins: other code may have made a new train function."""
        before = self.losses
        if before is not None:
            self.inexact = self.inexact or not before.exact
            self.take(callback)
            if self.losses is not before:
                before.leave(self)

    def train_end(self, callback: Any) -> None:
        """Called when `fit()` ends."""
        self.release(callback)

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Called when `fit()` ends with an exception."""
        self.release(callback)

    def release(self, callback: Any) -> None:
        """Ends the use."""
        if self.losses is not None:
            self.losses.release(self)
            self.losses = None

    def values(self) -> list[float]:
        """The losses of the batches that the last call has trained; none if they are not taken."""
        if self.losses is None:
            return []
        read = readers.reader().read
        return [read(value) for value in self.losses.values]

    def __getstate__(self) -> dict[str, Any]:
        # A copy is outside the fit.
        return {name: value for name, value in vars(self).items() if name != "losses"}


def uses_steps(callback: Any) -> bool:
    """Whether a callback of fitwatch's has values of the train step now."""
    attachment = attachment_of(callback)
    parts = () if attachment is None else attachment.parts
    return any(isinstance(part, StepUser) and part.losses is not None for part in parts)
