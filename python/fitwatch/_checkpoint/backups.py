"""When `BackupAndRestore` backs up, and what is in a backup."""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from fitwatch import _core, _files
from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import BackupFolder
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.callback_states import CallbackStates, has_state
from fitwatch._checkpoint.nan_guard import NanGuard
from fitwatch._checkpoint.resume import Resume
from fitwatch._checkpoint.trained_weights import (
    VariableValues,
    swap_callbacks,
    trained_weights,
    values_before_last_swap,
)
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import begin_fit, end_fit
from fitwatch._distributed.voter import Voter
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.hooks_around import has_wrapped_hooks, wrap_hooks
from fitwatch._keras import stock, trainer


class Backups(Attachment, Voter):
    """What `BackupAndRestore` has besides its public attributes and Keras's.

    Attributes:
        core: Counts batches.
        folder: Where the backups are.
        resume: How this fit has gone on from one.
        trained: Batches of the epoch that were trained, when a backup was due.
    """

    folder: BackupFolder
    trained = 0
    # Whether a backup is due, when all callbacks are done; at the end of the epoch, perhaps.
    _is_due = False
    _is_due_at_end = False
    _logs: Any = None
    # The trained weights, where the end of the epoch overwrites them.
    _kept: VariableValues = ()
    # What each process has for itself, of the backup that is being made.
    _ranks: list[Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.core = _core.Checkpoint()
        self.guard = NanGuard()
        self.resume = Resume()

    def new_folder(self, callback: Any) -> None:
        """Looks at the folder anew."""
        self.folder = BackupFolder(callback)

    def start_over(self) -> None:
        """Called when training begins."""
        self.core = _core.Checkpoint()
        self._is_due = self._is_due_at_end = False

    def is_needed(self, callback: Any) -> bool:
        """Whether each process has to have it: always."""
        return True

    # Around the list: before the first callback, and after the last one.

    def wrap_list_hooks(self, callback: Any) -> None:
        """Has something done before and after the hooks of the callback's list."""
        callback_list = self._own_list(callback)
        if callback_list is None:
            return

        def before_training(logs: Any = None) -> None:
            self.resume.before_training(callback)

        def before_epoch(epoch: int, logs: Any = None) -> None:
            self.resume.before_epoch(callback, epoch)

        def before_epoch_end(epoch: int, logs: Any = None) -> None:
            siblings = self.siblings()
            if swap_callbacks(siblings) and not self.is_silent:
                self._kept = values_before_last_swap(siblings, callback.model, epoch)

        def after_epoch(epoch: int, logs: Any = None) -> None:
            self._after_epoch(callback)

        def after_batch(batch: int, logs: Any = None) -> None:
            self._after_batch(callback)

        counts = {"on_train_batch_end": after_batch} if _counts_batches(callback) else {}
        wrap_hooks(
            callback_list,
            callback,
            before={
                "on_train_begin": before_training,
                "on_epoch_begin": before_epoch,
                "on_epoch_end": before_epoch_end,
            },
            after={"on_epoch_end": after_epoch, **counts},
            failed=partial(self.resume.failed, callback),
        )

    def wraps_list_hooks(self, callback: Any) -> bool:
        """Whether it does so."""
        callback_list = self._own_list(callback)
        return callback_list is not None and has_wrapped_hooks(callback_list, callback)

    def _own_list(self, callback: Any) -> Any:
        """The list that the callback is in; another callback may have it for itself."""
        callback_list = self.callback_list
        is_in = callback_list is not None and any(c is callback for c in callback_list.callbacks)
        return callback_list if is_in else None

    def _waits(self, callback: Any) -> bool:
        """Whether others have to see the batch or the epoch before there is a backup of it."""
        if not self.wraps_list_hooks(callback):
            return False
        siblings = self.siblings()
        behind = siblings[next(n for n, c in enumerate(siblings) if c is callback) + 1 :]
        return any(has_state(other, history=callback.exact) for other in behind)

    # The hooks.

    def begin_training(self, callback: Any) -> None:
        """Takes up the training that was interrupted, if there is one."""
        if not self.resume.has_searched:
            self.resume.before_training(callback)
        self.resume.has_searched = False
        self.guard.train_begin(callback)
        begin_fit(callback)

    def note(self, callback: Any, batch: int, logs: Any) -> None:
        """Called when a backup of this batch is due."""
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
        """Backs up at the end of an epoch, if that is due."""
        callback._current_epoch = epoch + 1
        callback._last_batch_seen = self.trained = 0
        self._is_due_at_end = self._is_due_at_end or callback.save_freq == "epoch"
        self._logs = rank_aware.averaged_logs(callback, logs)
        if not self._waits(callback):
            self._after_epoch(callback)

    def end_training(self, callback: Any, logs: Any) -> bool:
        """Deletes the backup, if that is wanted and the training has ended well.

        Returns:
            Whether Keras's own hook has to delete it: it is remote.
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
        """Called when `fit()` ends with an exception."""
        self.resume.end(callback)
        self.resume.found = None

    def _after_batch(self, callback: Any) -> None:
        """Backs up, if that is due, now that every callback is done with the batch."""
        if not self._is_due:
            return
        self._is_due = False
        coordinator = rank_aware.coordinator_of(callback)
        if coordinator is not None:
            coordinator.decide_before_backup(callback._last_batch_seen)
        order = self.resume.order
        last = order is not None and self.trained == order.batches
        if last or trainer.model_of(callback).stop_training:
            # There is no batch to go on with.
            self._is_due_at_end = True
            return
        callback._save_model()
        self._logs = None

    def _after_epoch(self, callback: Any) -> None:
        """The same for an epoch."""
        if self._is_due_at_end:
            self._is_due_at_end = False
            callback._save_model()
        self._logs, self._kept = None, ()

    # The backup.

    def may_save(self, callback: Any) -> bool:
        """Whether this process saves the model, as it is now; called in all of them."""
        coordinator = rank_aware.coordinator_of(callback)
        self._ranks = per_rank.gather(coordinator, self.resume.order, callback._model)
        return not self.is_silent and not self._is_spoiled(callback, self._logs)

    @contextmanager
    def saving(self, callback: Any) -> Iterator[None]:
        """While the model is saved."""
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
        """What belongs to a backup besides the weights."""
        arrays: list[Any] = []
        model = callback.model  # on JAX, this brings everything up to date
        states = CallbackStates(self.siblings(), history=callback.exact).take(arrays)
        order = self.resume.order
        state = {
            "id": os.urandom(8).hex(),
            "epoch": callback._current_epoch,
            "batch": callback._last_batch_seen,
            "trained": self.trained,
            "batches_since": self.core.batches_since,
            "stopped": bool(model.stop_training),
            "callbacks": states,
            "exact": None if order is None else order.take(arrays),
            **TrainingState(model).take(arrays),
        }
        return Backup(state, arrays)

    def _is_spoiled(self, callback: Any, logs: Any) -> bool:
        guard = self.guard
        return guard.has_spoiled_metrics(callback, logs) or guard.has_spoiled_weights(callback)

    def __getstate__(self) -> dict[str, Any]:
        # A copy backs up another fit.
        own = ("resume", "_kept", "_logs", "_ranks")
        return {name: value for name, value in super().__getstate__().items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.resume = Resume()

    def twin(self) -> Self:
        """What a copy has: a count of its own."""
        twin = super().twin()
        twin.core = copy.copy(self.core)
        return twin


def form(callback: Any, recorder: _core.Recorder) -> Any:
    """What the core does in the place of `on_train_batch_end`: it counts."""
    if not _counts_batches(callback):
        return None
    if _has_own_rule(callback):
        return NotImplemented
    own = callback._fitwatch

    def note(batch: int, logs: Any) -> None:
        own.note(callback, batch, logs)

    return _core.Due(own.core, callback, first=False), note


def _counts_batches(callback: Any) -> bool:
    by_number = callback.save_freq != "epoch" and callback.save_freq is not False
    return _has_own_rule(callback) or by_number


def _has_own_rule(callback: Any) -> bool:
    """Whether other code decides after which batches a backup is due."""
    rule = getattr(callback._should_save_on_batch, "__func__", None)
    return not stock.is_library_code(rule)
