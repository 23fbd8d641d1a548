"""BackupAndRestore."""

from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._checkpoint.backups import Backups, form
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled


class BackupAndRestore(FitwatchCallback, keras.callbacks.BackupAndRestore):  # type: ignore[misc]
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

    _fitwatch_type = Backups
    _fitwatch: Backups

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
        self._fitwatch.new_folder(self)

    def set_model(self, model: Any) -> None:
        """Takes the model."""
        super().set_model(model)
        self._fitwatch.wrap_list_hooks(self)

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes up the training that was interrupted, if there is one."""
        self._fitwatch.begin_training(self)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        if not self._fitwatch.wraps_list_hooks(self):
            self._fitwatch.resume.before_epoch(self, epoch)
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` is `"epoch"`."""
        self._fitwatch.end_epoch(self, epoch, logs)

    @compiled(form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` counts batches and enough have passed."""
        if self._should_save_on_batch(batch):
            self._fitwatch.note(self, batch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the backup, if that is wanted and the training has ended well."""
        if self._fitwatch.end_training(self, logs):
            super().on_train_end()

    # What Keras's hooks call; a subclass may have its own.

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
