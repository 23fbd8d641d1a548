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
from fitwatch._checkpoint.nan_guard import NanGuard
from fitwatch._checkpoint.resume import Resume
from fitwatch._checkpoint.trained_weights import (
    VariableValues,
    trained_weights,
    values_before_last_swap,
)
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import begin_fit, end_fit
from fitwatch._distributed.voter import Voter
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.hooks_around import Action, has_wrapped_hooks, wrap_hooks
from fitwatch._keras import stock, trainer


class Backups(Attachment, Voter):
    """The private part of `BackupAndRestore`.

    Attributes:
        core: Counts batches.
        folder: The folder of the backups.
        resume: Resumes this fit from a backup.
        trained: Trained batches of the epoch, when a backup was due.
    """

    left_out = Attachment.left_out | {"resume", "_kept", "_logs", "_ranks"}
    copied = frozenset({"core"})

    folder: BackupFolder
    trained = 0
    # Whether a backup is due once all callbacks have run: after this batch, or after this epoch.
    _is_due = False
    _is_due_at_end = False
    _logs: Any = None
    # The trained weights, if the end of the epoch overwrites them.
    _kept: VariableValues = ()
    # The per-process parts of the backup that is being made.
    _ranks: list[Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.core = _core.Checkpoint()
        self.guard = NanGuard()
        self.resume = Resume()

    def new_folder(self, callback: Any) -> None:
        """Begins with the folder that the callback names now."""
        self.folder = BackupFolder(callback)

    def start_over(self) -> None:
        """Called when training begins."""
        self.core = _core.Checkpoint()
        self._is_due = self._is_due_at_end = False

    def is_needed(self, callback: Any) -> bool:
        return True

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
            "on_epoch_end": lambda epoch, logs=None: self._after_epoch(callback)
        }
        if _counts_batches(callback):
            after["on_train_batch_end"] = lambda batch, logs=None: self._after_batch(callback)
        failed = partial(self.resume.failed, callback)
        wrap_hooks(callback_list, callback, before=before, after=after, failed=failed)

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
        siblings = self.siblings()
        behind = siblings[next(n for n, c in enumerate(siblings) if c is callback) + 1 :]
        return any(has_state(other, history=callback.exact) for other in behind)

    # The hooks.

    def begin_training(self, callback: Any) -> None:
        """Resumes an interrupted training, if there is one."""
        if not self.resume.has_searched:
            self.resume.before_training(callback)
        self.resume.has_searched = False
        self.guard.train_begin(callback)
        begin_fit(callback)

    def note(self, callback: Any, batch: int, logs: Any) -> None:
        """Called when a backup is due after this batch."""
        callback._last_batch_seen = batch
        order = self.resume.order
        most = None if order is None else order.batches
        # The last call may train fewer batches than the others.
        self.trained = batch + 1 if most is None else min(batch + 1, most)
        self._is_due = True
        self._logs = logs
        if not self._waits(callback):
            self._after_batch(callback)

    def end_epoch(self, callback: Any, epoch: int, logs: Any) -> None:
        """Makes a backup at the end of an epoch, if one is due."""
        callback._current_epoch = epoch + 1
        callback._last_batch_seen = self.trained = 0
        self._is_due_at_end = self._is_due_at_end or callback.save_freq == "epoch"
        self._logs = rank_aware.averaged_logs(callback, logs)
        if not self._waits(callback):
            self._after_epoch(callback)

    def end_training(self, callback: Any, logs: Any) -> bool:
        """Deletes the backup, if `delete_checkpoint` asks for it and no metric or weight is NaN.

        Returns:
            Whether Keras's hook has to delete it, since it is remote.
        """
        self.resume.end(callback)
        end_fit(callback)
        if self.is_silent:
            return False
        wanted = callback.delete_checkpoint and not self._is_spoiled(callback, logs)
        is_remote = _files.is_remote(callback.backup_dir)
        if not is_remote and wanted:
            self.folder.delete()
        elif not is_remote:
            self.folder.end()
        self.resume.found = None
        return wanted and is_remote

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

    # The backup.

    def may_save(self, callback: Any) -> bool:
        """Whether this process saves the current model; called in all processes."""
        coordinator = rank_aware.coordinator_of(callback)
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
        states = CallbackStates(self.siblings(), history=callback.exact).take(arrays)
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
        super().__setstate__(state)
        self.resume = Resume()


def _counts_batches(callback: Any) -> bool:
    by_number = callback.save_freq != "epoch" and callback.save_freq is not False
    return by_number or stock.is_overridden(callback, "_should_save_on_batch")
