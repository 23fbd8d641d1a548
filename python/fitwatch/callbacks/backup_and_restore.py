"""BackupAndRestore."""

from typing import Any

import keras

from fitwatch import _core
from fitwatch._drop_in import DropIn
from fitwatch.callbacks._base import Base
from fitwatch.callbacks._compiled import compiled
from fitwatch.callbacks._guarded import Guarded


class BackupAndRestore(Guarded, Base, keras.callbacks.BackupAndRestore, metaclass=DropIn):  # type: ignore[misc]
    """Backs the training up, so that it can be taken up again after an interruption.

    Keras's own `keras.callbacks.BackupAndRestore`, but that a `TerminateOnNaN` in the same list
    keeps it from replacing or deleting the last good backup.
    """

    delete_checkpoint: bool

    # Those of the hook that is running, for `_save_model`, which gets none.
    _fitwatch_logs: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` is `"epoch"`."""
        self._fitwatch_logs = logs
        super().on_epoch_end(epoch, logs)
        self._fitwatch_logs = None

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Backs up, if `save_freq` counts batches and enough have passed."""
        self._fitwatch_logs = logs
        super().on_train_batch_end(batch, logs)
        self._fitwatch_logs = None

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the backup, if that is wanted and the training has ended well."""
        delete = self.delete_checkpoint
        self.delete_checkpoint = delete and not self._fitwatch_is_spoiled(logs)
        try:
            super().on_train_end(logs)
        finally:
            self.delete_checkpoint = delete

    def _save_model(self) -> None:
        if not self._fitwatch_is_spoiled(self._fitwatch_logs):
            super()._save_model()

    def _fitwatch_is_spoiled(self, logs: Any) -> bool:
        return self._fitwatch_spoiled_metrics(logs) or self._fitwatch_spoiled_weights()

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        return None if self.save_freq == "epoch" else NotImplemented
