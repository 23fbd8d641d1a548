"""A training that was stopped before its last epoch, and is started again from its backup."""

from typing import Any

from fitwatch._warn import warn

# As an epoch to begin with: there is none left.
NO_MORE = 2**31


def is_over(callbacks: list[Any], has_ended: bool) -> bool:
    """Whether nothing is to be trained any more.

    It is where a callback would stop the training again at once, by its arguments as they are now.
    A stop that only other code can judge is over if the process died before the training could end:
    one that has ended and is started again is meant to go on.

    Args:
        callbacks: All callbacks of the list, with the states of the backup.
        has_ended: Whether the training has come to its end.
    """
    judges = [c for c in callbacks if hasattr(type(c), "_fitwatch_still_stops")]
    for callback in judges:
        reason = callback._fitwatch_still_stops()
        if reason is not None:
            warn(
                f"BackupAndRestore: {type(callback).__name__} has stopped this training, and would "
                f"stop it again at once: {reason}. Nothing is trained. Give it more to go on with, "
                "or delete the backup to begin anew."
            )
            return True
    stopped = [callback for callback in judges if callback._fitwatch_had_stopped()]
    for callback in stopped:
        callback._fitwatch_forget_stop()
    if stopped or has_ended:
        return False
    warn(
        "BackupAndRestore: this training was stopped before the process that trained it has died: "
        "nothing is trained. Start it once more to train on, or delete the backup to begin anew."
    )
    return True
