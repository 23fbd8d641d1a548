"""A callback's use of the step columns."""

from collections.abc import Callable
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

    losses: BatchLoss | None = None
    inexact = False
    _feed: _core.Feed | None = None
    _made_of: tuple[Any, ...] | None = None

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
        self.losses = self._feed = self._made_of = None

    def feed(self, make: Callable[[], Any], *depends_on: Any) -> _core.Feed:
        """The way into the callback's sink, with the step columns where there are any.

        Args:
            make: Gives the sink, if it is not the one of the call before.
            depends_on: What the sink is made of.
        """
        made_of = (*depends_on, self.losses)
        if self._feed is None or self._made_of != made_of:
            columns = None if self.losses is None else self.losses.columns
            self._made_of, self._feed = made_of, _core.Feed(make(), columns)
        return self._feed

    def __getstate__(self) -> dict[str, Any]:
        # A copy is outside the fit.
        bound = ("losses", "_feed", "_made_of")
        return {name: value for name, value in vars(self).items() if name not in bound}


def uses_steps(callback: Any) -> bool:
    """Whether a callback of fitwatch's has values of the train step now."""
    return any(part.losses is not None for part in parts_of(callback, StepUser))
