"""BackupAndRestore."""

from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._checkpoint import preemption
from fitwatch._checkpoint.backups import Backups
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled


class BackupAndRestore(FitwatchCallback, keras.callbacks.BackupAndRestore):  # type: ignore[misc]
    """Backs up the training, and resumes it where it was interrupted.

    Same arguments, files and messages as `keras.callbacks.BackupAndRestore`. A backup is one file,
    replaced atomically: the weights, the optimizer, the epoch, the seeds of random layers, and the
    states of all fitwatch callbacks in the list and of all others with `state_dict()` and
    `load_state_dict()`, at any position. A resumed run therefore takes the same decisions, with the
    same learning rates, as one that was never interrupted. Rows of a CSVLogger and points of a
    TensorBoard that were written after the backup are removed, and written again.

    The file is a Keras weights file (HDF5), with the rest in a group `__fitwatch__`. A mark, the
    length and a CRC-32 follow the HDF5 data, so that damage is detected.

    Args:
        backup_dir: The folder of the backup, a string or a path, used by this callback only. To
            resume, run the script again with the same folder.
        save_freq: `"epoch"` (default); or a number of batches (1 or more) between backups, counted
            across epochs; or False for never.
        double_checkpoint: Whether to keep the previous backup too. It is used, with a warning, if
            the checksum shows that the last one is damaged. Default False.
        delete_checkpoint: Whether to delete the backup after a complete training. Default True.
        exact: Whether to resume inside an interrupted epoch, with a `save_freq` in batches: each
            batch is trained once, the metrics of the epoch cover all its batches, and `History`
            has the earlier epochs too. If False, such an epoch is trained from its beginning, with
            the weights from its middle, as in Keras. The order of the data must be restorable:
            arrays; data of `fitwatch.resumable()`; on TensorFlow a `tf.data` pipeline without
            Python code. Other data are refused when `fit()` begins. Default False.
        save_before_preemption: Whether a signal ends the program after a backup: True for SIGTERM
            and SIGUSR1, or a list of signals. The batch that is being trained ends, the backup is
            made (with `exact=True` and in the middle of an epoch, no batch is trained twice), files
            and background saves are completed, and `fit()` raises `SystemExit` with the code 128
            plus the number of the signal. A validation is left after its current batch; the resumed
            run validates again. With several processes, the signal may reach any of them; all end
            after the same batch, at the latest `agree_every` batches later, or after the
            validation. A Python handler that was there before is called first. A second signal ends
            the program at once. Only in the main thread. Default False.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins: the
            backup is of another model, other data or another version of fitwatch, the model is not
            built or its weights are sharded over processes, the order of the data cannot be
            restored, `save_before_preemption` is used in a custom loop, or the callback is in its
            list twice. Nothing has been changed.
        SystemExit: A signal of `save_before_preemption` has ended the run.
        TypeError: `backup_dir` is not a path, or `save_before_preemption` neither a bool nor a
            list; or the state of a user's callback is not
            JSON-serializable.
        OSError: The backup is damaged, and there is no previous one; or it cannot be written.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - `latest.weights.h5` has everything; `training_metadata.json` is for Keras's class. Each
          class can resume from a backup of the other.
        - The backup is made after all callbacks with a state have seen the end of the epoch or
          batch. Keras makes it between them.
        - If the process died after the last epoch, before training could end, a restart trains
          nothing. Keras trains one more epoch.
        - A restart of a run that `EarlyStopping` has stopped trains nothing, with a warning, if the
          current arguments would stop it again at once. In Keras the wait starts over.
        - While `SwapEMAWeights` has put the averages into the model, the backup has the trained
          weights. In Keras it has the averages.
        - The counts and the best value of `OrbaxCheckpoint` are in the backup too.
        - The next `fit()` begins at its own `initial_epoch`. In Keras it begins at the epoch at
          which the previous one resumed.
        - With `steps_per_execution=N`, `save_freq` counts single batches. Keras counts the first
          call as one batch less.
        - `delete_checkpoint` deletes the files of the backup, and the folder if it is then empty.
          Keras deletes the folder with all its content.
        - With a `TerminateOnNaN` in the same list, the last good backup is neither replaced nor
          deleted once a metric or a weight is not finite.
        - Several processes that train together resume from one backup, which rank 0 writes: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import BackupAndRestore
        >>> BackupAndRestore("backup", double_checkpoint=True).save_freq
        'epoch'
    """

    _fitwatch_type = Backups
    _fitwatch: Backups

    # Pickles of earlier versions do not have it.
    save_before_preemption: tuple[int, ...] = ()

    # Keras's names.
    save_freq: Any
    backup_dir: str
    double_checkpoint: bool
    delete_checkpoint: bool

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        exact: bool = False,
        save_before_preemption: Any = False,
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
        self.save_before_preemption = preemption.signals(save_before_preemption)
        if self.exact and _files.is_remote(self.backup_dir):
            raise ValueError(f"exact=True needs a backup_dir on this machine; got {backup_dir!r}.")
        self._fitwatch.new_folder(self)

    def set_model(self, model: Any) -> None:
        """Sets the model, and wraps the hooks of its list."""
        super().set_model(model)
        self._fitwatch.wrap_list_hooks(self)

    def on_train_begin(self, logs: Any = None) -> None:
        """Resumes an interrupted training, if there is one."""
        self._fitwatch.begin_training(self)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        if not self._fitwatch.wraps_list_hooks(self):
            self._fitwatch.resume.before_epoch(self, epoch)
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Makes a backup, if `save_freq` is `"epoch"`."""
        self._fitwatch.end_epoch(self, epoch, logs)

    @compiled(Backups.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Makes a backup, if `save_freq` is a number of batches and as many have passed."""
        if self._should_save_on_batch(batch):
            self._fitwatch.note(self, batch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the backup, if `delete_checkpoint` asks for it."""
        self._fitwatch.end_training(self, logs)

    # Called by Keras's hooks; a subclass may override them.

    def _should_save_on_batch(self, batch: int) -> bool:
        if self.save_freq == "epoch" or self.save_freq is False:
            return False
        return bool(self._fitwatch.core.due(batch, self.save_freq))

    def _load_model(self) -> None:
        if _files.is_remote(self.backup_dir):
            super()._load_model()
            self._fitwatch.resume.has_set_epoch = True
        else:
            self._fitwatch.resume.load(self)

    def _save_model(self) -> None:
        if not self._fitwatch.may_save(self):
            return
        with self._fitwatch.saving(self):
            if _files.is_remote(self.backup_dir):
                super()._save_model()
            else:
                self._fitwatch.save(self)
