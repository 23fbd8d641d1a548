"""The backup before a signal ends the program, and that end."""

from typing import Any

from fitwatch._checkpoint import trained_epoch
from fitwatch._checkpoint.before_validation import BeforeValidation
from fitwatch._distributed import rank_aware
from fitwatch._engine.attachment import Part
from fitwatch._engine.hooks_around import Action, wrap_hooks
from fitwatch._engine.plan import recorder_of
from fitwatch._keras import frames, stock, trainer


class FinalBackup(Part):
    """Makes the backup of the last trained batch, and ends the run.

    Attributes:
        saved: The epoch and the batches of the last backup, in all processes.
        epoch: In the backup that is being made: where the epoch is, if it is being validated.
    """

    left_out = frozenset({"epoch", "_before"})

    saved: tuple[int, int] | None = None
    epoch: dict[str, Any] | None = None
    # In a validation: what it changes, as it was before.
    _is_validating = False
    _before: BeforeValidation | None = None

    def start_over(self) -> None:
        """Called when training begins."""
        self.saved = None
        self._is_validating = False

    def before_hooks(self, callback: Any) -> dict[str, Action]:
        """Actions before the hooks of the callback's list."""
        return {"on_test_begin": lambda logs=None: self._before_validation(callback)}

    def after_hooks(self, callback: Any, callback_list: Any) -> dict[str, Action]:
        """Actions after them."""
        return {
            "on_test_end": lambda logs=None: self._after_validation(),
            "on_train_begin": lambda logs=None: self._watch_batches(callback, callback_list),
        }

    def _watch_batches(self, callback: Any, callback_list: Any) -> None:
        """Sees a signal after each batch; a compiled list tells it by itself."""
        if recorder_of(callback_list) is not None:
            return
        own = callback._fitwatch

        def after_batch(batch: int, logs: Any = None) -> None:
            if own.preemption.ends(callback) is not None:
                stock.finish_hooks(callback_list)
                self.interrupted(callback)

        # Wrapped last, so that it comes after all other actions.
        after: dict[str, Action] = {
            "on_train_batch_end": after_batch,
            "on_test_batch_end": after_batch,
        }
        wrap_hooks(
            callback_list,
            own.preemption,
            after=after,
            failed=lambda error: own.failed(callback, error),
        )

    def interrupted(self, callback: Any) -> None:
        """Called when a batch has ended, of the training or of a validation."""
        own = callback._fitwatch
        number = own.preemption.ends(callback)
        if number is None:
            return
        own.trained_to(callback, frames.last_batch_of_fit(trainer.model_of(callback)))
        if self._is_validating:
            # Several processes end a validation, in which they do not agree on anything.
            if rank_aware.coordinator_of(callback) is None:
                self._end_in_validation(callback, number)
        elif not self._is_last_batch(callback):
            self._end_after_batch(callback, number)

    def _is_last_batch(self, callback: Any) -> bool:
        """Whether the epoch ends after the last trained batch."""
        own = callback._fitwatch
        order = own.resume.order
        batches = callback.params.get("steps") if order is None else order.batches
        last = batches is not None and own.trained >= batches
        return last or bool(trainer.model_of(callback).stop_training)

    def _end_after_batch(self, callback: Any, number: int) -> None:
        own = callback._fitwatch
        if self.saved != (callback._current_epoch, own.trained):
            callback._save_model()
        own.preemption.end(callback, number)

    def _end_in_validation(self, callback: Any, number: int) -> None:
        """Ends the run as it was after the last trained batch."""
        model, order = callback.model, callback._fitwatch.resume.order
        if self._before is not None:
            self._before.restore()
        if order is not None:
            inside = order.is_inside and not model.stop_training
            self.epoch = trained_epoch.take(model, is_inside=inside)
        try:
            self._end_after_batch(callback, number)
        finally:
            self.epoch = self._before = None

    def _before_validation(self, callback: Any) -> None:
        self._is_validating = True
        self._before = BeforeValidation(callback.model) if callback.exact else None

    def _after_validation(self) -> None:
        self._is_validating, self._before = False, None
