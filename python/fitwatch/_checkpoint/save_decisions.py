"""Which saves of a checkpoint are due, when they are decided, and what they may replace."""

from collections.abc import Callable
from typing import Any

from fitwatch import _core, _files
from fitwatch._checkpoint.due_saves import DueSaves
from fitwatch._checkpoint.retention import KeptFiles
from fitwatch._distributed import rank_aware
from fitwatch._engine.missing_metric import missing
from fitwatch._warn import warn


class SaveDecisions:
    """Mixin for a monitor that saves the model.

    A save that is due inside an epoch is decided at its end, where what it is judged by, or its
    file named after, may come with the logs of the epoch.
    """

    # What the callback has.
    filepath: str
    monitor: str | None
    max_to_keep: int | None
    save_best_only: bool
    save_freq: Any
    save_interval_epochs: int | None
    _last_batch_seen: Any
    _missing_reported: bool
    _checkpoint_exists: Callable[[str], Any]
    _get_file_path: Callable[[int, int | None, Any], str]
    _overridden: Callable[[str], bool]
    _fitwatch_kept: KeptFiles | None

    _fitwatch_due: DueSaves
    _fitwatch_interval: _core.Interval | None = None

    def _fitwatch_judged(self) -> list[str]:
        judges = self.save_best_only or self.max_to_keep is not None
        return [self.monitor] if judges and self.monitor is not None else []

    def _fitwatch_agreed_inside(self, logs: Any) -> Any:
        """The logs of a batch, with averages where each process has values of its own."""
        agreement = rank_aware.agreement(self)
        # Seconds have not passed in all of them at the same batch: those of rank 0 count.
        if agreement is None or self._fitwatch_interval is not None:
            return logs
        return agreement.agreed_inside(self, logs or {})

    def _fitwatch_counts_epochs(self) -> bool:
        timed = self._fitwatch_interval is not None
        return self.save_freq == "epoch" and (not timed or self.save_interval_epochs is not None)

    def _fitwatch_waits(self, batch: int, logs: dict[str, Any]) -> bool:
        """Whether a save that is due after a batch is decided at the end of the epoch."""
        lacking = [name for name in self._fitwatch_judged() if logs.get(name) is None]
        waits = any(map(self._fitwatch_due.may_come, lacking))
        return waits or bool(self._fitwatch_fields_to_come(batch, logs))

    def _fitwatch_take_put_off(self, epoch: int) -> bool:
        put_off, self._fitwatch_due.is_put_off = self._fitwatch_due.is_put_off, False
        agreement = rank_aware.agreement(self)
        if self._fitwatch_interval is None or agreement is None or not agreement.shares(self):
            return put_off
        # By the clock of rank 0.
        return bool(agreement.chiefs(f"a save that is due at the end of epoch {epoch}", put_off))

    def _fitwatch_sees_batches(self) -> bool:
        """Whether seconds count, and the last batch of this epoch has to be known all the same."""
        if self._fitwatch_interval is None:
            return False
        named = "batch" in _files.fields("filepath", self.filepath)
        return self._fitwatch_due.is_put_off or (named and self._fitwatch_counts_epochs())

    def _fitwatch_see_batches(self) -> None:
        """Has the next batch handed to the Python hook, if need be."""
        if self._fitwatch_interval is not None and self._fitwatch_sees_batches():
            self._fitwatch_interval.hook = True

    def _fitwatch_last_batch(self) -> int | None:
        seen = [self._fitwatch_due.last_batch]
        if self.save_freq != "epoch":
            seen.append(self._last_batch_seen)
        return max((batch for batch in seen if batch is not None), default=None)

    @property
    def _fitwatch_due_saves(self) -> dict[str, Any]:
        """For the state."""
        return self._fitwatch_due.state()

    @_fitwatch_due_saves.setter
    def _fitwatch_due_saves(self, state: dict[str, Any]) -> None:
        self._fitwatch_due.set_state(state)

    def _fitwatch_unknown_fields(self, batch: int | None, logs: dict[str, Any]) -> list[str]:
        unknown = _files.fields("filepath", self.filepath) - {"epoch", *logs}
        return sorted(unknown if batch is None else unknown - {"batch"})

    def _fitwatch_fields_to_come(self, batch: int | None, logs: dict[str, Any]) -> list[str]:
        """The fields that nothing fills in yet, if a validation will fill in all of them."""
        if self._overridden("_get_file_path"):
            return []
        unknown = self._fitwatch_unknown_fields(batch, logs)
        due = self._fitwatch_due
        return unknown if all(due.will_come(name, logs) for name in unknown) else []

    def _fitwatch_check_validation_fields(self, epoch: int, logs: dict[str, Any]) -> None:
        """What the first validation does not bring, none will.

        Raises:
            KeyError: A field of `filepath` is such a one, whether a save is due or not.
        """
        first = self._fitwatch_due.note_validation(logs)
        unknown = self._fitwatch_unknown_fields(0, logs) if first else []
        if any(name.startswith("val_") for name in unknown):
            self._get_file_path(epoch, 0, logs)

    def _fitwatch_is_unjudged(self, logs: Any) -> bool:
        """Whether these logs lack the metric that saves are judged by."""
        return any((logs or {}).get(name) is None for name in self._fitwatch_judged())

    def _fitwatch_is_refused(self, logs: Any) -> bool:
        """Whether they lack it, and only the best model is saved: there was a value before."""
        judged = self.save_best_only and self._fitwatch_due.has_judged
        return judged and self._fitwatch_is_unjudged(logs)

    def _fitwatch_may_replace(self, filepath: str) -> bool:
        """Whether a model without a value may be saved there: over its like of this run alone."""
        kept = self._fitwatch_kept
        own = self._fitwatch_due.is_own(filepath)
        own = own or (kept is not None and kept.has_unjudged(filepath))
        return own or not self._checkpoint_exists(filepath)

    def _report_missing(self, logs: dict[str, Any], name: str | None = None) -> None:
        """Warns, once in a fit, that there is nothing to judge by."""
        if self._fitwatch_is_refused(logs):
            then = "Without it the model is not saved."
        elif self._fitwatch_due.has_judged:
            then = f"Without it the model is saved while fewer than {self.max_to_keep} are kept."
        else:
            then = "Without it the model is saved, but not over a file of an earlier run."
        name = name or str(self.monitor)
        self._fitwatch_warn_once([name], f"{missing(self, name, logs)} {then}")

    def _fitwatch_report_fields(self, names: list[str]) -> None:
        """Warns, once in a fit, that a file cannot be named."""
        self._fitwatch_warn_once(
            names,
            f"{type(self).__name__}: filepath {self.filepath!r} needs {', '.join(names)}: where "
            "that is missing, the model is not saved.",
        )

    def _fitwatch_warn_once(self, names: list[str], message: str) -> None:
        if self._missing_reported:
            return
        self._missing_reported = True
        validation = any(name.startswith("val_") for name in names)
        why = " Validation metrics exist only when a validation has run." if validation else ""
        warn(message + why)
