"""How early stopping ends a `fit()`: words, and the best weights."""

from typing import Any

from fitwatch._distributed import rank_aware
from fitwatch._distributed.output import print_message


class Ending:
    """Mixin in front of `keras.callbacks.EarlyStopping`.

    Keras's words know of one metric and of epochs: they are Keras's own where that is all there is.
    """

    _fitwatch_unit: str
    verbose: int
    restore_best_weights: bool
    best_weights: Any
    best_epoch: int
    model: Any
    stop_reason: str | None = None
    # The same; a subclass may have an attribute of that name for its own use.
    _fitwatch_stop_reason: str | None = None
    # Whether Keras's words will not do.
    _fitwatch_own_words = False
    # Where training was stopped, and where it was best, in words.
    _fitwatch_stopped_at = ""
    _fitwatch_best_at = ""

    def on_train_end(self, logs: Any = None) -> None:
        """Says why training was stopped, and restores the best weights."""
        if not self._fitwatch_own_words:
            with rank_aware.quietly(self):
                super().on_train_end(logs)  # type: ignore[misc]
            return
        if self._fitwatch_stop_reason is not None and self.verbose > 0:
            print_message(
                f"{self._fitwatch_stopped_at}: early stopping, {self._fitwatch_stop_reason}"
            )
        self._fitwatch_restore()

    def _fitwatch_restore(self) -> None:
        if not self.restore_best_weights or self.best_weights is None:
            return
        if self.verbose > 0:
            best = f"the end of the best epoch: {self.best_epoch + 1}."
            if self._fitwatch_unit == "batch":
                best = f"the best batch: {self._fitwatch_best_at}."
            print_message(f"Restoring model weights from {best}")
        self.model.set_weights(self.best_weights)
