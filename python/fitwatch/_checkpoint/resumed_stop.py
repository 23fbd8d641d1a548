"""Decides whether a stopped training that is restarted from its backup continues."""

from typing import Any

from fitwatch._engine.attachment import attachment_of
from fitwatch._warn import warn

# A first epoch that is beyond the last one of any training.
NO_EPOCHS_LEFT = 2**31


class Stopper:
    """Mixed into the attachment of a callback that stops trainings."""

    def still_stops(self, callback: Any) -> str | None:
        """Why the loaded state would stop the training again at once; None if it would not."""
        raise NotImplementedError

    def had_stopped(self, callback: Any) -> bool:
        """Whether this callback had stopped the training."""
        raise NotImplementedError

    def forget_stop(self, callback: Any) -> None:
        """Called when a training that the callback had stopped continues."""


def is_over(callbacks: list[Any], has_ended: bool) -> bool:
    """Whether a stopped training stays stopped; warns if it does.

    It does if a callback would stop it again at once by its current arguments. A stop by other code
    holds if the process died before the training could end. A training that has ended was restarted
    to train further.
    """
    judges: list[tuple[Any, Stopper]] = []
    for callback in callbacks:
        own: Any = attachment_of(callback)
        if isinstance(own, Stopper):
            judges.append((callback, own))
    for callback, stops in judges:
        reason = stops.still_stops(callback)
        if reason is not None:
            warn(
                f"BackupAndRestore: {type(callback).__name__} has stopped this training, and would "
                f"stop it again at once: {reason}. Nothing is trained. Change its arguments to "
                "train on, or delete the backup to start over."
            )
            return True
    stopped = [(callback, stops) for callback, stops in judges if stops.had_stopped(callback)]
    for callback, stops in stopped:
        stops.forget_stop(callback)
    if stopped or has_ended:
        return False
    warn(
        "BackupAndRestore: this training had been stopped when its process died: nothing is "
        "trained. Start it once more to train on, or delete the backup to start over."
    )
    return True
