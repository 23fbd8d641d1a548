"""A callback's use of the step columns."""

from typing import Any

from fitwatch import _core
from fitwatch._engine.attachment import Part, parts_of
from fitwatch._engine.step_backends import watch
from fitwatch._engine.step_values import BatchLoss
from fitwatch._keras import trainer


class StepUser(Part):
    """Takes per-batch losses during a `fit()`, if the callback's `loss` is `"batch"`.

    The callback calls `begin` when training begins.

    Attributes:
        losses: Their source; None outside a fit, and where running means are wanted.
        inexact: Whether some losses of this fit could not be taken.
    """

    left_out = frozenset({"losses", "_fed"})

    losses: BatchLoss | None = None
    inexact = False
    # The last feed, with what it was made of.
    _fed: tuple[Any, tuple[Any, ...], BatchLoss | None, _core.Feed] | None = None

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.inexact = False
        self.take(callback)

    def take(self, callback: Any) -> None:
        """Finds the source of the losses."""
        if self.is_wanted(callback):
            self.losses = watch(self, trainer.model_of(callback), quiet=self.is_quiet(callback))
        else:
            self.losses = None

    def is_wanted(self, callback: Any) -> bool:
        """Whether the callback wants them."""
        return bool(callback.loss == "batch")

    def is_quiet(self, callback: Any) -> bool:
        """Whether it works without them, so that no warning is needed if they cannot be taken."""
        return False

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins: other code may have made a new train function."""
        before = self.losses
        if before is not None:
            self.inexact = self.inexact or not before.exact
            self.take(callback)
            if self.losses is not before:
                before.release(self)

    def train_end(self, callback: Any) -> None:
        """Called when `fit()` ends."""
        self.release(callback)

    def release(self, callback: Any) -> None:
        """Ends the use."""
        if self.losses is not None:
            self.losses.release(self)
        self.losses = self._fed = None

    def feed(self, sink: Any, *made_of: Any) -> _core.Feed:
        """The feed of the callback's sink, with the step columns if there are any.

        Args:
            sink: The sink, or its class.
            made_of: The arguments of the class; a new sink is made when they change.
        """
        fed, losses = self._fed, self.losses
        if fed is None or fed[0] is not sink or fed[1] != made_of or fed[2] is not losses:
            columns = None if losses is None else losses.columns
            feed = _core.Feed(sink(*made_of) if made_of else sink, columns)
            fed = self._fed = (sink, made_of, losses, feed)
        return fed[3]


def uses_steps(callback: Any) -> bool:
    """Whether a callback of fitwatch's has values of the train step now."""
    return any(part.losses is not None for part in parts_of(callback, StepUser))
