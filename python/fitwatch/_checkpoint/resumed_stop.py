"""A training that was stopped before its last epoch, and is started again from its backup."""

from typing import Any

from fitwatch._engine.attachment import attachment_of
from fitwatch._warn import warn

# As an epoch to begin with: there is none left.
NO_EPOCHS_LEFT = 2**31


class Stopper:
    """Stands beside `Attachment` for a callback that stops trainings."""

    def still_stops(self, callback: Any) -> str | None:
        """Why a training whose state was loaded would be stopped at once; None if it would not."""
        raise NotImplementedError

    def had_stopped(self, callback: Any) -> bool:
        """Whether it was this callback that has stopped the training."""
        raise NotImplementedError

    def forget_stop(self, callback: Any) -> None:
        """Called when such a training goes on all the same."""


def is_over(callbacks: list[Any], has_ended: bool) -> bool:
    """Whether nothing is to be trained any more.

    It is where a callback would stop the training again at once, by its arguments as they are now.
    A stop that only other code can judge is over if the process died before the training could end:
    one that has ended and is started again is meant to go on.

    Args:
        callbacks: All callbacks of the list, with the states of the backup.
        has_ended: Whether the training has come to its end.
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
                f"stop it again at once: {reason}. Nothing is trained. Give it more to go on with, "
                "or delete the backup to begin anew."
            )
            return True
    stopped = [(callback, stops) for callback, stops in judges if stops.had_stopped(callback)]
    for callback, stops in stopped:
        stops.forget_stop(callback)
    if stopped or has_ended:
        return False
    warn(
        "BackupAndRestore: this training was stopped before the process that trained it has died: "
        "nothing is trained. Start it once more to train on, or delete the backup to begin anew."
    )
    return True
