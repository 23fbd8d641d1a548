"""BackupAndRestore."""

import copy
import os
from typing import Any

import keras

from fitwatch import _check, _core, _files
from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import BackupFolder
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.callback_states import has_state
from fitwatch._checkpoint.resume import Resumes
from fitwatch._checkpoint.trained_weights import (
    Kept,
    forget_swaps,
    keep_before_the_last_swap,
    swappers,
    trained_weights,
)
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import FitwatchCallback, begin_fit
from fitwatch._engine.hooks_around import is_surrounded, surround
from fitwatch._engine.plan import compiled
from fitwatch._keras import trainer
from fitwatch._monitors.nan_guard import Guarded


class BackupAndRestore(Resumes, Guarded, FitwatchCallback, keras.callbacks.BackupAndRestore):  # type: ignore[misc]
    """Backs the training up, and takes it up again where it was interrupted.

    Same arguments, files and messages as `keras.callbacks.BackupAndRestore`. A backup is one file,
    which is replaced as a whole: the weights, the optimizer, the epoch, the seeds of random layers,
    and the states of all fitwatch callbacks in the list and of all others that have
    `state_dict()` and `load_state_dict()`, wherever in the list they are. So a resumed run takes
    the decisions and has the learning rates of one that was never interrupted; rows of a CSVLogger
    and points of a TensorBoard that were written since the backup are taken out, and written anew.

    The file is one of Keras's weights (HDF5), with the rest in a group `__fitwatch__` of its own;
    behind it stand a mark, its length and a CRC-32, by which damage is found out.

    Args:
        backup_dir: The folder of the backup, a string or a path, for this callback alone. Run the
            script again with the same one, and `fit()` goes on.
        save_freq: `"epoch"` (default); or a number of batches (1 or more) after which to back up,
            counted across epochs; or False for never.
        double_checkpoint: Whether to keep the backup before the last one too. If the last one is
            damaged, which its checksum tells, that one is used, with a warning. Default False.
        delete_checkpoint: Whether to delete the backup when training has ended well. Default True.
        exact: Whether to go on inside an epoch that was interrupted, where `save_freq` counts
            batches: each batch is trained once, the metrics of the epoch are those of all its
            batches, and `History` has the epochs before, too. Without, such an epoch begins anew
            with the weights from its middle, as in Keras. The order of the data must be one that
            can be brought back: arrays; what `fitwatch.resumable()` gives; on TensorFlow a
            `tf.data` pipeline without Python code. Anything else is refused when `fit()` begins.
            Default False.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins: the
            backup is one of another model, of other data or of another version of fitwatch, the
            model is not built or its weights are divided among processes, the order of the data
            cannot be brought back, or the callback is in its list twice. Nothing is changed then.
        TypeError: `backup_dir` is no path; or a state of somebody's own callback is no JSON.
        OSError: The backup is damaged, and there is none before it; or it cannot be written.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - `latest.weights.h5` has everything; `training_metadata.json` is for Keras's class, which
          can go on from a backup of this one, and the other way round.
        - The backup is made after all callbacks that have a state have seen the end of the epoch or
          batch. Keras makes it in the middle of them.
        - When training was over already, and the process died before it could end it, nothing is
          trained any more. Keras trains one more epoch.
        - A run that `EarlyStopping` has ended trains nothing more when it is started again, with a
          warning, unless it would not stop by its arguments as they are now. In Keras it begins to
          wait anew.
        - Where `SwapEMAWeights` has put the averages in the model, the backup has the trained
          weights. In Keras it has the averages.
        - What `OrbaxCheckpoint` has counted, and its best value, are in the backup too.
        - The next `fit()` begins at its own `initial_epoch`. In Keras it begins where the one
          before was taken up.
        - With `steps_per_execution=N` batches are counted by the batch. Keras counts the first call
          as one batch less.
        - `delete_checkpoint` deletes the files of the backup, and the folder if nothing else is in
          it. Keras deletes the folder with all that is in it.
        - With a `TerminateOnNaN` in the same list the last good backup is neither replaced nor
          deleted once a metric or a weight is not finite.
        - Several processes that train together go on from one backup, which rank 0 writes: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import BackupAndRestore
        >>> BackupAndRestore("backup", double_checkpoint=True).save_freq
        'epoch'
    """

    # Keras's names.
    save_freq: Any
    backup_dir: str
    double_checkpoint: bool
    delete_checkpoint: bool

    # Whether a backup is due, when all callbacks are done; at the end of the epoch, perhaps.
    _fitwatch_due = False
    _fitwatch_due_at_end = False
    _fitwatch_logs: Any = None
    # Batches of the epoch that were trained.
    _fitwatch_trained = 0
    # The trained weights, where the end of the epoch overwrites them.
    _fitwatch_kept: Kept = ()

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        exact: bool = False,
    ) -> None:
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed: it must be the path of a folder.")
        if save_freq is not False and save_freq != "epoch":
            try:
                save_freq = _check.count("save_freq", save_freq, minimum=1)
            except (TypeError, ValueError):
                allowed = "'epoch', False, or a whole number of 1 or more"
                raise ValueError(
                    f"Invalid value for argument `save_freq`: it must be {allowed}; got "
                    f"{save_freq!r}."
                ) from None
        super().__init__(
            _check.path("backup_dir", backup_dir),
            save_freq=save_freq,
            double_checkpoint=_check.flag("double_checkpoint", double_checkpoint),
            delete_checkpoint=_check.flag("delete_checkpoint", delete_checkpoint),
        )
        self.exact = _check.flag("exact", exact)
        if self.exact and _files.is_remote(self.backup_dir):
            raise ValueError(f"exact=True needs a backup_dir on this machine; got {backup_dir!r}.")
        self._fitwatch_core = _core.Checkpoint()
        self._fitwatch_folder = BackupFolder(self)

    def set_model(self, model: Any) -> None:
        """Takes the model."""
        super().set_model(model)
        callback_list = self._fitwatch_list()
        if callback_list is not None:
            before: dict[str, Any] = {
                "on_train_begin": self._fitwatch_before_training,
                "on_epoch_begin": self._fitwatch_before_epoch,
                "on_epoch_end": self._fitwatch_before_epoch_end,
            }
            after = {"on_epoch_end": self._fitwatch_after_epoch}
            if self._fitwatch_counts_batches():
                after["on_train_batch_end"] = self._fitwatch_after_batch
            surround(callback_list, self, before=before, after=after)

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes up the training that was interrupted, if there is one."""
        if not self._fitwatch_looked:
            self._fitwatch_before_training()
        self._fitwatch_looked = False
        self._fitwatch_withheld = False
        begin_fit(self)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        if not self._fitwatch_is_in_list():
            self._fitwatch_before_epoch(epoch)
        super().on_epoch_begin(epoch, logs)

    def _fitwatch_before_epoch_end(self, epoch: int, logs: Any = None) -> None:
        companions = self._fitwatch.siblings()
        if swappers(companions) and not self._fitwatch.is_silent:
            self._fitwatch_kept = keep_before_the_last_swap(companions, self.model, epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` is `"epoch"`."""
        self._current_epoch = epoch + 1
        self._last_batch_seen = self._fitwatch_trained = 0
        self._fitwatch_due_at_end = self._fitwatch_due_at_end or self.save_freq == "epoch"
        self._fitwatch_logs = rank_aware.agreed(self, logs)
        if not self._fitwatch_waits():
            self._fitwatch_after_epoch()

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` counts batches and enough have passed."""
        if self._should_save_on_batch(batch):
            self._fitwatch_note(batch, logs)

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if not self._fitwatch_counts_batches():
            return None
        if self._fitwatch_has_own_rule():
            return NotImplemented
        return _core.Due(self._fitwatch_core, self, first=False), self._fitwatch_note

    def _fitwatch_note(self, batch: int, logs: Any) -> None:
        """Called when a backup of this batch is due."""
        self._last_batch_seen = batch
        order = self._fitwatch_order
        most = None if order is None else order.batches
        # The last call may train fewer batches than the others.
        self._fitwatch_trained = batch + 1 if most is None else min(batch + 1, most)
        self._fitwatch_due = True
        self._fitwatch_logs = logs
        if not self._fitwatch_waits():
            self._fitwatch_after_batch()

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the backup, if that is wanted and the training has ended well."""
        self._fitwatch_end()
        if self._fitwatch.is_silent:
            return
        spoiled = self._fitwatch_is_spoiled(logs)
        if self.delete_checkpoint and not spoiled:
            self._fitwatch_delete()
        elif not self._fitwatch_is_remote():
            self._fitwatch_folder.end()
        self._fitwatch_found = None

    # What Keras's hooks call; a subclass may have its own.

    def _should_save_on_batch(self, batch: int) -> bool:
        if self.save_freq == "epoch" or self.save_freq is False:
            return False
        return bool(self._fitwatch_core.due(batch, self.save_freq))

    def _load_model(self) -> None:
        if self._fitwatch_is_remote():
            super()._load_model()
            self._fitwatch_set_epoch = True
            return
        found = self._fitwatch_found
        if found is None:
            return
        TrainingState(self.model).load(found.path, found.backup)
        forget_swaps(self._fitwatch.siblings())
        per_rank.load_random(rank_aware.agreement(self), self.model, found.backup)
        self._fitwatch_is_resumed = True
        trainer.set_initial_epoch(self.model, found.epoch)
        self._fitwatch_set_epoch = True

    def _save_model(self) -> None:
        agreement = rank_aware.agreement(self)
        ranks = per_rank.gather(agreement, self._fitwatch_order, self._model)
        if self._fitwatch.is_silent or self._fitwatch_is_spoiled(self._fitwatch_logs):
            return
        trained = trained_weights(self._fitwatch.siblings(), self.model, self._fitwatch_kept)
        with rank_aware.saving(self), trained:
            if self._fitwatch_is_remote():
                super()._save_model()
                return
            backup = self._fitwatch_take()
            backup.state["ranks"] = ranks
            backup.state["processes"] = 1 if agreement is None else agreement.size
            self._fitwatch_folder.save(self.model, backup, double=self.double_checkpoint)

    def _fitwatch_is_needed(self) -> bool:
        return True

    # Around the list.

    def _fitwatch_after_batch(self, *args: Any, **kwargs: Any) -> None:
        """Backs up, if that is due, now that every callback is done with the batch."""
        if not self._fitwatch_due:
            return
        self._fitwatch_due = False
        agreement = rank_aware.agreement(self)
        if agreement is not None:
            agreement.settle_before_backup(self._last_batch_seen)
        order = self._fitwatch_order
        last = order is not None and self._fitwatch_trained == order.batches
        if last or trainer.model_of(self).stop_training:
            # There is no batch to go on with.
            self._fitwatch_due_at_end = True
            return
        self._save_model()
        self._fitwatch_logs = None

    def _fitwatch_after_epoch(self, *args: Any, **kwargs: Any) -> None:
        """The same for an epoch."""
        if self._fitwatch_due_at_end:
            self._fitwatch_due_at_end = False
            self._save_model()
        self._fitwatch_logs, self._fitwatch_kept = None, ()

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        if fit:
            self._fitwatch_end()
            self._fitwatch_found = None

    # The backup.

    def _fitwatch_take(self) -> Backup:
        arrays: list[Any] = []
        model = self.model  # on JAX, this brings everything up to date
        companions = self._fitwatch_companion_states().take(arrays)
        order = self._fitwatch_order
        state = {
            "id": os.urandom(8).hex(),
            "epoch": self._current_epoch,
            "batch": self._last_batch_seen,
            "trained": self._fitwatch_trained,
            "batches_since": self._fitwatch_core.batches_since,
            "stopped": bool(model.stop_training),
            "callbacks": companions,
            "exact": None if order is None else order.take(arrays),
            **TrainingState(model).take(arrays),
        }
        return Backup(state, arrays)

    def _fitwatch_delete(self) -> None:
        if self._fitwatch_is_remote():
            super().on_train_end()
        else:
            self._fitwatch_folder.delete()

    # Small questions.

    def _fitwatch_is_spoiled(self, logs: Any) -> bool:
        return self._fitwatch_spoiled_metrics(logs) or self._fitwatch_spoiled_weights()

    def _fitwatch_counts_batches(self) -> bool:
        own = self._fitwatch_has_own_rule()
        return own or (self.save_freq != "epoch" and self.save_freq is not False)

    def _fitwatch_has_own_rule(self) -> bool:
        return type(self)._should_save_on_batch is not BackupAndRestore._should_save_on_batch

    def _fitwatch_is_remote(self) -> bool:
        return _files.is_remote(self.backup_dir)

    def _fitwatch_is_in_list(self) -> bool:
        callback_list = self._fitwatch_list()
        return callback_list is not None and is_surrounded(callback_list, self)

    def _fitwatch_list(self) -> Any:
        """The list that this callback is in; another callback may have it for itself."""
        run = self._fitwatch.scope
        callback_list = None if run is None else run.callback_list
        is_in = callback_list is not None and any(c is self for c in callback_list.callbacks)
        return callback_list if is_in else None

    def _fitwatch_waits(self) -> bool:
        """Whether others have to see the batch or the epoch before there is a backup of it."""
        if not self._fitwatch_is_in_list():
            return False
        companions = self._fitwatch.siblings()
        behind = companions[next(n for n, c in enumerate(companions) if c is self) + 1 :]
        return any(has_state(callback, history=self.exact) for callback in behind)

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        # A copy backs up another fit.
        own = ("_fitwatch_found", "_fitwatch_order", "_fitwatch_kept")
        return {name: value for name, value in attributes.items() if name not in own}, slots

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._fitwatch_core = copy.copy(self._fitwatch_core)
