"""Which saves of a checkpoint are due, when they are decided, and which files they replace."""

import copy
from typing import Any

from fitwatch import _core, _files
from fitwatch._checkpoint.due_saves import DueSaves
from fitwatch._distributed import rank_aware
from fitwatch._engine.attachment import Part
from fitwatch._keras import stock


class SaveDecisions(Part):
    """Decides when a checkpoint saves.

    A save that is due inside an epoch is deferred to its end if the metric that judges it, or names
    its file, may be in the logs of the epoch.

    Attributes:
        due: The state of due saves.
        interval: The clock, with `save_interval_seconds`.
        fields_checked: Whether the fields of the path were checked in this fit.
    """

    left_out = frozenset({"interval"})

    interval: _core.Interval | None = None
    fields_checked = False

    def __init__(self) -> None:
        self.due = DueSaves()

    def begin(self, seconds: float | None) -> None:
        """Called when training begins.

        Args:
            seconds: Seconds between two saves; None if saves are not due by time.
        """
        self.fields_checked = False
        self.interval = None
        self.restart_clock(seconds)

    def restart_clock(self, seconds: float | None) -> None:
        """Restarts the clock, which a compiled list uses from the next epoch on."""
        if seconds is not None:
            self.interval = _core.Interval(seconds)

    def judged(self, callback: Any) -> list[str]:
        """The name of the metric that judges saves, in a list; empty if none does."""
        judges = callback.save_best_only or callback.max_to_keep is not None
        return [callback.monitor] if judges and callback.monitor is not None else []

    def averaged_batch_logs(self, callback: Any, logs: Any) -> Any:
        """The logs of a batch, with values that are local to a process averaged."""
        coordinator = rank_aware.coordinator_of(callback)
        # By time, processes are due at different batches: rank 0 decides by its own values.
        if coordinator is None or self.interval is not None:
            return logs
        return coordinator.averaged_batch_logs(callback, logs or {})

    def counts_batches(self, callback: Any) -> bool:
        """Whether a save may be due after a batch."""
        return not isinstance(callback.save_freq, str) or self.interval is not None

    def counts_epochs(self, callback: Any) -> bool:
        """Whether a save may be due at the end of an epoch."""
        timed = self.interval is not None
        by_epochs = not timed or callback.save_interval_epochs is not None
        return callback.save_freq == "epoch" and by_epochs

    def is_deferred(self, callback: Any, batch: int, logs: dict[str, Any]) -> bool:
        """Whether a save that is due after a batch is deferred to the end of the epoch."""
        lacking = [name for name in self.judged(callback) if logs.get(name) is None]
        waits = any(map(self.due.may_come, lacking))
        return waits or bool(self.fields_to_come(callback, batch, logs))

    def take_deferred(self, callback: Any, epoch: int) -> bool:
        """Whether a save was deferred to the end of this epoch; clears the flag."""
        deferred, self.due.is_put_off = self.due.is_put_off, False
        if self.interval is None:
            return deferred
        # By the clock of rank 0.
        topic = f"a save that is due at the end of epoch {epoch}"
        return bool(rank_aware.broadcast(callback, topic, deferred))

    def sees_batches(self, callback: Any) -> bool:
        """Whether saves are due by time but need the number of the last batch of the epoch."""
        if self.interval is None:
            return False
        named = "batch" in _files.fields("filepath", callback.filepath)
        return self.due.is_put_off or (named and self.counts_epochs(callback))

    def see_batches(self, callback: Any) -> None:
        """Passes the next batch to the Python hook, if the last batch is needed."""
        if self.interval is not None and self.sees_batches(callback):
            self.interval.hook = True

    def last_batch(self, callback: Any) -> int | None:
        """The last known batch of this epoch."""
        seen = [self.due.last_batch]
        if not isinstance(callback.save_freq, str):
            seen.append(callback._last_batch_seen)
        return max((batch for batch in seen if batch is not None), default=None)

    def unknown_fields(self, callback: Any, batch: int | None, logs: dict[str, Any]) -> list[str]:
        """The fields of the path for which there is no value."""
        unknown = _files.fields("filepath", callback.filepath) - {"epoch", *logs}
        return sorted(unknown if batch is None else unknown - {"batch"})

    def fields_to_come(self, callback: Any, batch: int | None, logs: dict[str, Any]) -> list[str]:
        """The fields without a value, if a later validation provides all of them; else none."""
        if stock.is_overridden(callback, "_get_file_path"):
            return []
        unknown = self.unknown_fields(callback, batch, logs)
        return unknown if all(self.due.will_come(name, logs) for name in unknown) else []

    def check_fields(self, callback: Any, batch: int, logs: dict[str, Any]) -> None:
        """Checks the fields of the path early: the first save may be hours away.

        Raises:
            KeyError: A field names a metric that does not exist.
        """
        if self.counts_batches(callback):
            if not self.fields_to_come(callback, batch, logs):
                callback._get_file_path(getattr(callback, "_current_epoch", 0), batch, logs)
            self.fields_checked = True

    def check_validation_fields(self, callback: Any, epoch: int, logs: dict[str, Any]) -> None:
        """Checks the fields of the path after the first validation, whether a save is due or not.

        Raises:
            KeyError: A field names a validation metric that does not exist.
        """
        first = self.due.note_validation(logs)
        unknown = self.unknown_fields(callback, 0, logs) if first else []
        if any(name.startswith("val_") for name in unknown):
            callback._get_file_path(epoch, 0, logs)

    def is_unjudged(self, callback: Any, logs: Any) -> bool:
        """Whether these logs lack the metric that judges saves."""
        return any((logs or {}).get(name) is None for name in self.judged(callback))

    def is_refused(self, callback: Any, logs: Any) -> bool:
        """Whether `save_best_only` rejects these logs: no metric, but a value was judged before."""
        judged = callback.save_best_only and self.due.has_judged
        return judged and self.is_unjudged(callback, logs)

    def may_replace(self, callback: Any, filepath: str) -> bool:
        """Whether a model without a value may be saved there.

        It may replace only a file that this run saved without a value.
        """
        kept = callback._fitwatch.saver.kept
        own = self.due.is_own(filepath)
        own = own or (kept is not None and kept.has_unjudged(filepath))
        return own or not callback._checkpoint_exists(filepath)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "due": copy.copy(self.due)}
