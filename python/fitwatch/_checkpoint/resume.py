"""Resuming an interrupted training from a backup."""

from typing import Any

from fitwatch import _files
from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import FoundBackup
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.callback_states import CallbackStates
from fitwatch._checkpoint.data_order import DataOrder
from fitwatch._checkpoint.resumed_stop import NO_EPOCHS_LEFT, is_over
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._checkpoint.trained_weights import mark_unswapped
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._engine.after_batch import after_batches
from fitwatch._keras import stock, trainer


class Resume:
    """Finds a backup for `BackupAndRestore`, and restores the model and the callbacks from it.

    The backup is found, checked and loaded into the model before any callback of the list begins.
    What callbacks reset in `on_train_begin` is restored before the first epoch.

    Attributes:
        found: The backup that this fit resumes from.
        has_searched: Whether a backup was looked for.
        has_set_epoch: Whether the first epoch of `fit()` was set.
        order: The order of the data, with `exact=True`.
    """

    found: FoundBackup | None = None
    has_searched = False
    has_set_epoch = False
    order: DataOrder | None = None
    # Whether the backup was loaded into the model; a subclass may decline it.
    _has_loaded = False
    # Whether the first epoch of this fit has begun.
    _has_begun = False

    def before_training(self, callback: Any) -> None:
        """Finds the backup, and restores the states of callbacks before they begin."""
        coordinator = rank_aware.coordinator_of(callback)
        if coordinator is not None:
            coordinator.begin()  # all processes have ended the previous fit
        self.end(callback)
        self.has_searched = True
        self._has_begun = False
        self.found = None
        own = callback._fitwatch
        own.start_over()
        if callback.exact:
            others = stock.instances(own.siblings(), "BackupAndRestore")
            if len(others) > 1:
                raise ValueError(
                    "BackupAndRestore(exact=True) must be the only one in its list: it is unknown "
                    f"which of {len(others)} backups to resume from."
                )
            self.order = DataOrder(callback._model)
        if _files.is_remote(callback.backup_dir):
            callback._load_model()
            return
        if not own.is_silent:
            _files.ensure_writable_ancestor("backup_dir", callback.backup_dir)
        if not callback.model.built:
            raise ValueError(
                "the model must be built before BackupAndRestore can restore it: call it on a "
                f"batch of data first, or give it an Input: {callback.model}."
            )
        refuse_sharded(callback, callback.model)
        own.new_folder(callback)
        found = self.found = own.folder.find()
        if coordinator := rank_aware.coordinator_of(callback):
            per_rank.agree_on_backup(coordinator, callback.backup_dir, found)
        if found is not None:
            self._check(callback, found)
        self._has_loaded = False
        callback._load_model()
        if found is None or not self._has_loaded:
            self.found = None
        elif found.backup is not None:
            states = found.backup.state["callbacks"]
            _callback_states(callback).begin(states, found.backup.arrays)
            if found.was_stopped and is_over(own.siblings(), found.has_ended):
                trainer.set_initial_epoch(callback.model, NO_EPOCHS_LEFT)

    def _check(self, callback: Any, found: FoundBackup) -> None:
        exact = _exact(callback, found.backup)
        if callback.exact and found.is_inside and exact is None:
            raise ValueError(
                f"{found.path} was made without exact=True, in the middle of an epoch: it is not "
                "known which batches are left. Leave exact out to train the whole epoch."
            )
        if found.backup is None:
            return
        state, training = found.backup.state, TrainingState(callback.model)
        training.check(found.path, found.backup)
        order = self.order
        if order is not None and exact is not None:
            trained, at_a_time = state["trained"], callback._model.steps_per_execution
            order.check(exact, found.backup.arrays, trained, at_a_time)
            if trained:
                order.build_metrics(callback.model)
                training.check_metrics(found.path, found.backup)

    def before_epoch(self, callback: Any, epoch: int) -> None:
        """Restores, before the first epoch, what `fit()` and the callbacks have reset."""
        callback._current_epoch = epoch
        order, found = self.order, self.found
        backup = None if found is None else found.backup
        self.found = None
        first, self._has_begun = not self._has_begun, True
        if first:
            self.release_epoch(callback)
        if first and backup is not None:
            exact = None if order is None else _exact(callback, backup)
            trained = 0 if exact is None else backup.state["trained"]
            if trained and epoch != backup.state["epoch"]:
                raise ValueError(
                    f"fit() begins at epoch {epoch}, but the backup was made inside epoch "
                    f"{backup.state['epoch']}: leave initial_epoch out."
                )
            states = backup.state["callbacks"]
            _callback_states(callback).begin_first_epoch(states, trained)
            own = callback._fitwatch
            own.announce("resume", f"epoch {epoch}, after {trained} batches of it")
            own.core.batches_since = backup.state["batches_since"]
            if (joined := after_batches(own.callback_list)) is not None:
                # Backups of earlier versions do not have it.
                joined.go_on(max(backup.state.get("seen", 0), trained), trained)
            if order is not None and exact is not None:
                order.go_on(exact, epoch, trained)
                if trained:
                    TrainingState(callback.model).load_metrics(backup)
                    per_rank.load_metrics(
                        rank_aware.coordinator_of(callback), callback.model, backup
                    )
                    own.core.last_batch = trained - 1
                return
        if order is not None:
            order.begin_epoch(epoch)

    def failed(self, callback: Any, error: BaseException) -> None:
        """Called when an exception comes out of a hook of the list."""
        coordinator = rank_aware.coordinator_of(callback)
        if coordinator is not None:
            coordinator.leave(error)
        if not self._has_begun:
            _callback_states(callback).forget()
        self.end(callback)

    def end(self, callback: Any) -> None:
        self.release_epoch(callback)
        self.order = None
        self.has_searched = False

    def release_epoch(self, callback: Any) -> None:
        """Makes the next `fit()` begin at its own `initial_epoch`."""
        if self.has_set_epoch:
            self.has_set_epoch = False
            trainer.set_initial_epoch(trainer.model_of(callback), None)

    def load(self, callback: Any) -> None:
        """Restores weights, optimizer and seeds, and sets the first epoch of `fit()`."""
        found = self.found
        if found is None:
            return
        TrainingState(callback.model).load(found.path, found.backup)
        mark_unswapped(callback._fitwatch.siblings())
        per_rank.load_random(rank_aware.coordinator_of(callback), callback.model, found.backup)
        self._has_loaded = True
        trainer.set_initial_epoch(callback.model, found.epoch)
        self.has_set_epoch = True


def _exact(callback: Any, backup: Backup | None) -> Any:
    """The position of this process in its data; None if the backup has none."""
    if backup is None or not callback.exact:
        return None
    return per_rank.exact(rank_aware.coordinator_of(callback), backup)


def _callback_states(callback: Any) -> CallbackStates:
    return CallbackStates(callback._fitwatch.siblings(), history=callback.exact)
