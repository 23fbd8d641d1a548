"""When `BackupAndRestore` backs up, and what is in a backup."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from fitwatch import _core, _files
from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import BackupFolder
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.callback_states import CallbackStates, has_state
from fitwatch._checkpoint.final_backup import FinalBackup
from fitwatch._checkpoint.nan_guard import NanGuard
from fitwatch._checkpoint.preemption import Preemption
from fitwatch._checkpoint.resume import Resume
from fitwatch._checkpoint.trained_weights import trained_weights, values_before_last_swap
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import begin_fit, end_fit
from fitwatch._distributed.voter import Voter
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.hooks_around import Action, has_wrapped_hooks, wrap_hooks
from fitwatch._keras import averaged_weights, stock, trainer


class Backups(Attachment, Voter):
    """The private part of `BackupAndRestore`.

    Attributes:
        core: Counts batches.
        folder: The folder of the backups.
        resume: Resumes this fit from a backup.
        preemption: The signal that ends the run after a backup.
        final: That backup, and the end.
        trained: Trained batches of the epoch, when a backup was due.
    """

    left_out = Attachment.left_out | {"resume", "_kept", "_logs", "_ranks"}
    copied = frozenset({"core"})

    folder: BackupFolder
    trained = 0
    # Whether backups have the epochs of `History`, also without `exact=True`.
    _has_history = False
    # Whether a backup is due once all callbacks have run: after this batch, or after this epoch.
    _is_due = False
    _is_due_at_end = False
    _logs: Any = None
    # The trained weights, if the end of the epoch overwrites them.
    _kept: averaged_weights.VariableValues = ()
    # The per-process parts of the backup that is being made.
    _ranks: list[Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.core = _core.Checkpoint()
        self.guard = NanGuard()
        self.resume = Resume()
        self.preemption = Preemption()
        self.final = FinalBackup()

    def new_folder(self, callback: Any) -> None:
        """Begins with the folder that the callback names now."""
        self.folder = BackupFolder(callback)

    def start_over(self) -> None:
        """Called when training begins."""
        self.core = _core.Checkpoint()
        self._is_due = self._is_due_at_end = False
        self.final.start_over()

    def has_history(self, callback: Any) -> bool:
        """Whether backups have the epochs of `History`."""
        return callback.exact or self._has_history

    def is_needed(self, callback: Any) -> bool:
        return True

    def decides_within_epoch(self, callback: Any) -> bool:
        return bool(callback.save_before_preemption)

    # Before the first callback of the list, and after the last one.

    def wrap_list_hooks(self, callback: Any) -> None:
        """Adds actions before and after the hooks of the callback's list."""
        callback_list = self._own_list(callback)
        if callback_list is None:
            return
        before: dict[str, Action] = {
            "on_train_begin": lambda logs=None: self.resume.before_training(callback),
            "on_epoch_begin": lambda epoch, logs=None: self.resume.before_epoch(callback, epoch),
            "on_epoch_end": lambda epoch, logs=None: self._before_epoch_end(callback, epoch),
        }
        after: dict[str, Action] = {
            "on_epoch_end": lambda epoch, logs=None: self._after_epoch_of_all(callback)
        }
        if _counts_batches(callback):
            after["on_train_batch_end"] = lambda batch, logs=None: self._after_batch(callback)
        if callback.save_before_preemption:
            before |= self.final.before_hooks(callback)
            after |= self.final.after_hooks(callback, callback_list)
            after["on_train_end"] = lambda logs=None: self._after_training(callback, logs)
        failed = partial(self.failed, callback)
        wrap_hooks(callback_list, callback, before=before, after=after, failed=failed)

    def failed(self, callback: Any, error: BaseException) -> None:
        """Called when an exception comes out of a hook of the list."""
        self.preemption.restore_handlers()
        self.resume.failed(callback, error)

    def wraps_list_hooks(self, callback: Any) -> bool:
        """Whether the hooks of the callback's list are wrapped."""
        callback_list = self._own_list(callback)
        return callback_list is not None and has_wrapped_hooks(callback_list, callback)

    def _own_list(self, callback: Any) -> Any:
        """The list that holds the callback; None where another callback forwards its hooks."""
        callback_list = self.callback_list
        is_in = callback_list is not None and any(c is callback for c in callback_list.callbacks)
        return callback_list if is_in else None

    def _waits(self, callback: Any) -> bool:
        """Whether later callbacks must see the batch or epoch before its backup is made."""
        if not self.wraps_list_hooks(callback):
            return False
        joined = after_batches(self.callback_list)
        if joined is not None and joined.is_wanted(self.callback_list):
            return True  # the list has not counted the batch yet
        siblings = self.siblings()
        behind = siblings[next(n for n, c in enumerate(siblings) if c is callback) + 1 :]
        return any(has_state(other, history=self.has_history(callback)) for other in behind)

    # The hooks.

    def begin_training(self, callback: Any) -> None:
        """Resumes an interrupted training, if there is one."""
        if not self.resume.has_searched:
            self.resume.before_training(callback)
        self.resume.has_searched = False
        self.guard.train_begin(callback)
        begin_fit(callback)
        self.preemption.begin(callback)

    def note(self, callback: Any, batch: int, logs: Any) -> None:
        """Called when a backup is due after this batch."""
        self.trained_to(callback, batch)
        self._is_due = True
        self._logs = logs
        if not self._waits(callback):
            self._after_batch(callback)

    def trained_to(self, callback: Any, batch: int) -> None:
        """Notes the last batch of the epoch that is trained."""
        callback._last_batch_seen = batch
        order = self.resume.order
        most = None if order is None else order.batches
        # The last call may train fewer batches than the others.
        self.trained = batch + 1 if most is None else min(batch + 1, most)

    def end_epoch(self, callback: Any, epoch: int, logs: Any) -> None:
        """Makes a backup at the end of an epoch, if one is due."""
        callback._current_epoch = epoch + 1
        callback._last_batch_seen = self.trained = 0
        self._is_due_at_end = self._is_due_at_end or callback.save_freq == "epoch"
        self._logs = rank_aware.averaged_logs(callback, logs)
        if not self._waits(callback):
            self._after_epoch(callback)

    def end_training(self, callback: Any, logs: Any) -> None:
        """Deletes the backup, if `delete_checkpoint` asks for it and no metric or weight is NaN.

        Where a signal may end the program, the backup stays until all callbacks have ended.
        """
        self.resume.end(callback)
        end_fit(callback)
        self.resume.found = None
        waits = callback.save_before_preemption and self.wraps_list_hooks(callback)
        if not waits:
            self._end_backup(callback, logs)

    def _after_training(self, callback: Any, logs: Any) -> None:
        """Does this after the last `on_train_end`, and ends the program after a signal."""
        # A signal that comes later acts as it would without this callback.
        self.preemption.restore_handlers()
        number = self.preemption.ends(callback)
        if number is not None:
            self.preemption.end(callback, number)
        self._end_backup(callback, logs)

    def _end_backup(self, callback: Any, logs: Any) -> None:
        if self.is_silent:
            return
        wanted = callback.delete_checkpoint and not self._is_spoiled(callback, logs)
        is_remote = _files.is_remote(callback.backup_dir)
        if is_remote and wanted:
            theirs: Any = stock.STOCK["BackupAndRestore"]
            theirs.on_train_end(callback)
        elif not is_remote and wanted:
            self.folder.delete()
        elif not is_remote:
            self.folder.end()

    def close(self, callback: Any, *, interrupted: bool) -> None:
        self.resume.end(callback)
        self.resume.found = None

    def _before_epoch_end(self, callback: Any, epoch: int) -> None:
        siblings = self.siblings()
        if stock.instances(siblings, "SwapEMAWeights") and not self.is_silent:
            self._kept = values_before_last_swap(siblings, callback.model, epoch)

    def _after_batch(self, callback: Any) -> None:
        """Makes a backup if one is due, once every callback has seen the batch."""
        if not self._is_due:
            return
        self._is_due = False
        coordinator = rank_aware.coordinator_of(callback)
        if coordinator is not None:
            coordinator.decide_before_backup(callback._last_batch_seen)
        order = self.resume.order
        last = order is not None and self.trained == order.batches
        if last or trainer.model_of(callback).stop_training:
            # The epoch has no batch left to resume with.
            self._is_due_at_end = True
            return
        callback._save_model()
        self._logs = None

    def _after_epoch(self, callback: Any) -> None:
        """Makes a backup if one is due, once every callback has seen the epoch."""
        if self._is_due_at_end:
            self._is_due_at_end = False
            callback._save_model()
        self._logs, self._kept = None, ()

    def _after_epoch_of_all(self, callback: Any) -> None:
        """Does the same after all hooks, and ends the run after a signal."""
        number = self.preemption.ends(callback)
        if number is None:
            self._after_epoch(callback)
            return
        self._is_due_at_end = self.final.saved != (callback._current_epoch, 0)
        self._after_epoch(callback)
        self.preemption.end(callback, number)

    def interrupted(self, callback: Any) -> None:
        self.final.interrupted(callback)

    # The backup.

    def may_save(self, callback: Any) -> bool:
        """Whether this process saves the current model; called in all processes."""
        coordinator = rank_aware.coordinator_of(callback)
        self.final.saved = callback._current_epoch, self.trained
        self._ranks = per_rank.gather(coordinator, self.resume.order, callback._model)
        return not self.is_silent and not self._is_spoiled(callback, self._logs)

    @contextmanager
    def saving(self, callback: Any) -> Iterator[None]:
        """A block that saves the model, which has its trained weights in the meantime."""
        trained = trained_weights(self.siblings(), callback.model, self._kept)
        with rank_aware.saving(callback), trained:
            yield

    def save(self, callback: Any) -> None:
        """Writes a backup."""
        coordinator = rank_aware.coordinator_of(callback)
        backup = self.take(callback)
        backup.state["ranks"] = self._ranks
        backup.state["processes"] = 1 if coordinator is None else coordinator.size
        self.folder.save(callback.model, backup, double=callback.double_checkpoint)

    def take(self, callback: Any) -> Backup:
        """The content of a backup besides the weights."""
        arrays: list[Any] = []
        model = callback.model  # on JAX, this copies the training state into the model
        states = CallbackStates(self.siblings(), history=self.has_history(callback)).take(arrays)
        order = self.resume.order
        state = {
            "id": os.urandom(8).hex(),
            "epoch": callback._current_epoch,
            "batch": callback._last_batch_seen,
            "trained": self.trained,
            "batches_since": self.core.batches_since,
            "seen": joined.count.seen if (joined := after_batches(self.callback_list)) else 0,
            "stopped": bool(model.stop_training),
            "callbacks": states,
            "exact": None if order is None else order.take(arrays),
            "validating": self.final.epoch,
            **TrainingState(model).take(arrays),
        }
        return Backup(state, arrays)

    def _is_spoiled(self, callback: Any, logs: Any) -> bool:
        guard = self.guard
        return guard.has_spoiled_metrics(callback, logs) or guard.has_spoiled_weights(callback)

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`, which counts batches."""
        if not _counts_batches(callback):
            return None
        if stock.is_overridden(callback, "_should_save_on_batch"):
            return NotImplemented
        return _core.Due(self.core, callback, first=False), partial(self.note, callback)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"preemption": Preemption(), "final": FinalBackup(), **state})
        self.resume = Resume()


def _counts_batches(callback: Any) -> bool:
    by_number = callback.save_freq != "epoch" and callback.save_freq is not False
    return by_number or stock.is_overridden(callback, "_should_save_on_batch")
