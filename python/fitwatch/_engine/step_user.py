"""Callbacks that want the loss that each batch really had."""

from typing import Any

from fitwatch._engine import readers
from fitwatch._engine.step_backends import watch
from fitwatch._engine.step_values import BatchLoss


class OwnLosses:
    """Mixin for a callback: takes the losses of batches while a `fit()` goes on, if `loss` says so.

    The class calls `_fitwatch_watch()` when training begins.
    """

    loss: str = "batch"
    # None outside a fit, and where the running mean is what is wanted.
    _fitwatch_losses: BatchLoss | None = None
    # Whether some losses of this fit could not be taken.
    _fitwatch_inexact = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch begins: somebody may have made a new train function."""
        before = self._fitwatch_losses
        if before is not None:
            self._fitwatch_inexact = self._fitwatch_inexact or not before.exact
            self._fitwatch_take_losses()
            if self._fitwatch_losses is not before:
                before.leave(self)
        super().on_epoch_begin(epoch, logs)  # type: ignore[misc]

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        super().on_train_end(logs)  # type: ignore[misc]
        self._fitwatch_release()

    def _fitwatch_watch(self) -> None:
        self._fitwatch_inexact = False
        self._fitwatch_take_losses()

    def _fitwatch_take_losses(self) -> None:
        self._fitwatch_losses = watch(self) if self.loss == "batch" else None

    def _fitwatch_own_losses(self) -> list[float]:
        """The losses of the batches that the last call has trained; none if they are not taken."""
        if self._fitwatch_losses is None:
            return []
        read = readers.reader().read
        return [read(value) for value in self._fitwatch_losses.values]

    def _fitwatch_release(self) -> None:
        if self._fitwatch_losses is not None:
            self._fitwatch_losses.release(self)
            self._fitwatch_losses = None

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)  # type: ignore[misc]
        if fit:
            self._fitwatch_release()
