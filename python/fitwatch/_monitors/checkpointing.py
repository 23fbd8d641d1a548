"""The private part of `ModelCheckpoint`: when it saves, and what it decides."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from fitwatch import _core, _files
from fitwatch._checkpoint import due_saves
from fitwatch._checkpoint.best_in_file import BestInFile
from fitwatch._checkpoint.nan_guard import NanGuard
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.save_decisions import SaveDecisions
from fitwatch._checkpoint.saver import Done, Saver, last_path, monitored_value
from fitwatch._checkpoint.state_values import optional_number, optional_whole, whole
from fitwatch._distributed import rank_aware
from fitwatch._distributed.world import print_message
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.missing_metric import missing
from fitwatch._keras import stock
from fitwatch._keras.frames import fit_of
from fitwatch._keras.trainer import model_of
from fitwatch._monitors.core_attribute import is_redefined
from fitwatch._monitors.metric import MonitorAttachment
from fitwatch._warn import warn


class CheckpointState(RunState):
    """The state of a checkpoint, with the value of the best file."""

    fields: ClassVar = {
        "best": Field(optional_number),
        "_batches_seen_since_last_saving": Field(whole),
        "_last_batch_seen": Field(optional_whole),
        "_fitwatch_due_saves": Field(due_saves.read, "_fitwatch.due_saves", is_new=True),
    }

    def mark(self, callback: Any) -> None:
        """Called before a backup: finishes the background save, so that the best file exists."""
        callback._fitwatch.saver.background.finish()


class Checkpointing(MonitorAttachment):
    """The private part of `ModelCheckpoint`."""

    core: _core.Checkpoint

    def __init__(self) -> None:
        super().__init__(_core.Checkpoint())
        self.decisions = SaveDecisions()
        self.best_in_file = BestInFile()
        self.guard = NanGuard()
        self.saver = Saver()
        self.state = CheckpointState()

    @property
    def due_saves(self) -> dict[str, Any]:
        """The state of due saves."""
        return self.decisions.due.state()

    @due_saves.setter
    def due_saves(self, state: dict[str, Any]) -> None:
        self.decisions.due.set_state(state)

    def monitored(self, callback: Any) -> list[str]:
        return self.decisions.judged(callback)

    def begin(self, callback: Any) -> None:
        """Called first when training begins."""
        self.saver.begin()
        fit = fit_of(model_of(callback))
        self.decisions.due.begin(validates=None if fit is None else fit.validation is not None)

    def begin_run(self, callback: Any) -> None:
        """Called last when training begins."""
        self.decisions.begin(callback.save_interval_seconds)
        self.best_in_file.forget()
        if self.best_in_file.is_wanted and not self.saver.goes_on:
            is_own = self.decisions.due.is_own(callback.filepath)
            self.best_in_file.begin(callback, is_own=is_own)

    def save_on_batch(self, callback: Any, batch: int, logs: Any) -> None:
        """Saves after a batch, or defers that to the end of the epoch."""
        decisions = self.decisions
        if decisions.is_deferred(callback, batch, logs or {}):
            decisions.due.is_put_off = True
            decisions.due.last_batch = batch
            decisions.see_batches(callback)
            if callback.save_last and not self.is_silent:
                self._save_guarded_last(callback, callback._current_epoch, logs)
            return
        if callback.monitor_op is None and decisions.judged(callback):
            callback._set_monitor_op()
        logs = decisions.averaged_batch_logs(callback, logs)
        callback._save_model(epoch=callback._current_epoch, batch=batch, logs=logs)

    def wants_validations(self, callback: Any) -> bool:
        return bool(callback.save_freq == "validation")

    def save_on_validation(self, callback: Any, logs: dict[str, Any]) -> None:
        """Saves after a validation, if that is when saves are due."""
        joined = after_batches(self.callback_list)
        if not self.wants_validations(callback) or joined is None:
            return
        if callback.monitor_op is None:
            callback._set_monitor_op()
        validations = joined.validations
        callback._save_model(epoch=validations.epoch, batch=validations.batch, logs=logs)

    def end_epoch(self, callback: Any, epoch: int, logs: Any) -> None:
        """Saves at the end of an epoch, if a save is due."""
        self.saver.background.finish(wait=False)
        decisions = self.decisions
        judged = decisions.judged(callback)
        if callback.monitor_op is None and (decisions.interval is None or judged):
            callback._set_monitor_op()  # now that the metrics are built
        decisions.check_validation_fields(callback, epoch, logs or {})
        deferred = decisions.take_deferred(callback, epoch)
        every = callback.save_interval_epochs or 1
        by_epoch = decisions.counts_epochs(callback) and not (epoch + 1) % every
        known = deferred or decisions.sees_batches(callback)
        batch = decisions.last_batch(callback) if known else None
        if by_epoch:
            decisions.restart_clock(callback.save_interval_seconds)
        if deferred or by_epoch:
            averaged = rank_aware.averaged_logs(callback, logs)
            callback._save_model(epoch=epoch, batch=batch, logs=averaged)
        names = _files.fields("filepath", callback.filepath) - {"epoch", "batch"}
        decisions.due.end_epoch({*names, *judged}, logs or {})
        decisions.due.last_batch = None

    def save(self, callback: Any, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        """Saves the model, if these logs ask for it."""
        self.saver.background.finish(wait=False)
        decisions = self.decisions
        to_come = decisions.fields_to_come(callback, batch, logs)
        if self.is_silent:
            if not to_come:
                self._follow(callback, logs)
            return
        if self.guard.has_spoiled_metrics(callback, logs):
            return
        if to_come:
            self._report_fields(callback, to_come)
        else:
            if decisions.is_unjudged(callback, logs):
                self.report_missing(callback, logs)
            if self._save_if_wanted(callback, epoch, batch, logs):
                return
        if callback.save_last:
            self._save_guarded_last(callback, epoch, logs)

    def _save_if_wanted(
        self, callback: Any, epoch: int, batch: int | None, logs: dict[str, Any]
    ) -> bool:
        decisions, due = self.decisions, self.decisions.due
        refused = decisions.is_refused(callback, logs)
        if refused and decisions.unknown_fields(callback, batch, logs):
            return False  # without a save the file needs no name
        filepath = callback._get_file_path(epoch, batch, logs)
        value = monitored_value(callback, logs)
        if not self.saver.admits(callback, filepath, epoch, value, logs):
            return False
        before = callback.best, due.has_judged, due.unjudged
        if not callback._should_save_model(epoch, batch, logs, filepath):
            return False
        if decisions.judged(callback):
            due.saving(filepath, judged=value is not None)

        def undo() -> None:
            callback.best, due.has_judged, due.unjudged = before

        best = self.best_in_file.to_keep(callback, value)
        self.saver.save(callback, filepath, value, best, _done(callback, epoch, filepath, undo))
        self.announce("checkpoint", filepath)
        return True

    def may_save(self, callback: Any, logs: Any, filepath: str) -> bool:
        """Whether the file may be saved, before Keras's rule is asked.

        Keras's rule prints that it saves, and sets the value as the best.
        """
        unjudged = callback.save_best_only and (logs or {}).get(callback.monitor) is None
        if self.decisions.is_refused(callback, logs):
            return False
        if unjudged and not self.decisions.may_replace(callback, filepath):
            return False
        watched = self.guard.is_watched(callback) and (unjudged or _improves(callback, logs))
        return not (watched and self.guard.has_spoiled_weights(callback))

    def _save_guarded_last(self, callback: Any, epoch: int, logs: Any) -> None:
        guard = self.guard
        if guard.has_spoiled_metrics(callback, logs) or guard.has_spoiled_weights(callback):
            return
        last = last_path(callback.filepath)
        self.saver.save_last(callback, _done(callback, epoch, last, lambda: None))

    def _follow(self, callback: Any, logs: dict[str, Any]) -> None:
        """Tracks the best value, where another process saves."""
        value = logs.get(callback.monitor)
        if not callback.save_best_only or type(value) is not float:
            return
        if monitored_value(callback, logs) is not None:
            self.decisions.due.has_judged = True
        if callback._is_improvement(value, callback.best):
            callback.best = value

    # Warnings.

    def report_missing(self, callback: Any, logs: dict[str, Any], name: str | None = None) -> None:
        """Warns, once in a fit, that the monitored metric is missing."""
        if self.decisions.is_refused(callback, logs):
            then = "Without it the model is not saved."
        elif self.decisions.due.has_judged:
            then = (
                f"Without it the model is saved while fewer than {callback.max_to_keep} are kept."
            )
        else:
            then = "Without it the model is saved, but not over a file of an earlier run."
        name = name or str(callback.monitor)
        self._warn_once([name], f"{missing(callback, name, logs)} {then}")

    def _report_fields(self, callback: Any, names: list[str]) -> None:
        """Warns, once in a fit, that the name of a file lacks metrics."""
        self._warn_once(
            names,
            f"{type(callback).__name__}: filepath {callback.filepath!r} needs {', '.join(names)}: "
            "without them the model is not saved.",
        )

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        decisions = self.decisions
        if stock.is_overridden(callback, "_should_save_on_batch") or is_redefined(type(callback)):
            return NotImplemented
        save = partial(self.save_on_batch, callback)
        if decisions.interval is not None:
            decisions.interval.hook = not decisions.fields_checked or decisions.sees_batches(
                callback
            )
            return decisions.interval, save
        if isinstance(callback.save_freq, str):
            return None
        # The first batch goes through the hook, which checks the fields of the path.
        return _core.Due(self.core, callback, first=not decisions.fields_checked), save

    def _warn_once(self, names: list[str], message: str) -> None:
        if self.missing_reported:
            return
        self.missing_reported = True
        validation = any(name.startswith("val_") for name in names)
        why = " Validation metrics exist only when a validation has run." if validation else ""
        warn(message + why)


def _improves(callback: Any, logs: Any) -> bool:
    current = (logs or {}).get(callback.monitor)
    judged = callback.save_best_only and getattr(current, "shape", ()) == ()
    return not judged or bool(callback._is_improvement(current, callback.best))


def _done(callback: Any, epoch: int, filepath: str, undo: Callable[[], None]) -> Done:
    """Called once a file is on the disk, or with the error."""

    def done(error: BaseException | None) -> None:
        if error is not None:
            undo()
            error.add_note(f"{type(callback).__name__}: {filepath!r} was not saved.")
        elif callback.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: finished saving model to {filepath}")

    return done
