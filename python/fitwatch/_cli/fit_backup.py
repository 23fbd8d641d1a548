"""The backup of one `fit()` of an unchanged script, for `--resume-dir`."""

import time
from typing import Any

import keras

from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import BackupFolder, FoundBackup
from fitwatch._checkpoint.backups import Backups
from fitwatch._checkpoint.data_order import DataOrder, set_random_state
from fitwatch._checkpoint.resumed_stop import NO_EPOCHS_LEFT
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._distributed import rank_aware
from fitwatch._distributed.world import is_writer
from fitwatch._keras import data, frames, stock, trainer
from fitwatch._warn import warn
from fitwatch.callbacks.backup_and_restore import BackupAndRestore

# Batches after which the clock is looked at.
_BATCHES = 10
# A backup that took a second is followed by as many without one, so that backups cost at most 5%.
_SECONDS_OFF = 20


class _EndedOnce(BackupFolder):
    """A folder whose `fit()` is not trained further once it has ended."""

    def find(self) -> FoundBackup | None:
        found = super().find()
        if found is None or not found.has_ended:
            return found
        # Not stopped: whether the stop still holds need not be asked.
        return found._replace(epoch=NO_EPOCHS_LEFT, was_stopped=False)


class _TimedBackups(Backups):
    """Backs up from time to time, and at the end of the last epoch.

    Several processes, whose clocks differ, back up at the end of every epoch.
    """

    _has_history = True
    interval = 0.0
    _next = 0.0

    def new_folder(self, callback: Any) -> None:
        self.folder = _EndedOnce(callback)

    def start_over(self) -> None:
        super().start_over()
        self._next = time.monotonic() + self.interval

    def note(self, callback: Any, batch: int, logs: Any) -> None:
        if rank_aware.coordinator_of(callback) is None and self._is_time():
            super().note(callback, batch, logs)

    def end_epoch(self, callback: Any, epoch: int, logs: Any) -> None:
        is_last = epoch + 1 >= callback.params["epochs"]
        stops = trainer.model_of(callback).stop_training
        together = rank_aware.coordinator_of(callback) is not None
        self._is_due_at_end = self._is_due_at_end or together or is_last or stops or self._is_time()
        super().end_epoch(callback, epoch, logs)

    def save(self, callback: Any) -> None:
        began = time.monotonic()
        super().save(callback)
        ended = time.monotonic()
        self._next = ended + max(self.interval, _SECONDS_OFF * (ended - began))

    def _is_time(self) -> bool:
        return time.monotonic() >= self._next


class FitBackup(BackupAndRestore):
    """The BackupAndRestore of a script that has none.

    A failure to write is a warning. Once the `fit()` has ended, the random states are those at its
    end, also where a restart trains nothing.
    """

    _fitwatch_type = _TimedBackups
    _fitwatch: _TimedBackups
    _has_failed = False

    def __init__(self, folder: str, *, exact: bool, interval: float) -> None:
        super().__init__(
            folder,
            save_freq=_BATCHES if exact else False,
            delete_checkpoint=False,
            exact=exact,
            save_before_preemption=True,
        )
        self._fitwatch.interval = interval

    def on_train_end(self, logs: Any = None) -> None:
        """Notes that the training has ended."""
        exact = None
        skipped = self._fitwatch.resume.found  # None once an epoch has begun
        if self.exact and skipped is not None and skipped.backup is not None:
            exact = per_rank.exact(rank_aware.coordinator_of(self), skipped.backup)
        super().on_train_end(logs)
        if exact is not None:
            set_random_state(exact["now"])

    def _save_model(self) -> None:
        try:
            super()._save_model()
        except Exception as error:
            if rank_aware.coordinator_of(self) is not None:
                raise
            if not self._has_failed:
                self._has_failed = True
                warn(f"--resume-dir: {self.backup_dir} cannot be written: {error!r}")


def is_outermost_fit() -> bool:
    """Whether a `fit()` is running in this thread, and not inside another one."""
    methods = frames.running_methods()
    return methods[:1] == ["fit"] and methods.count("fit") == 1


def flat(callbacks: Any) -> list[Any]:
    """The argument `callbacks` of `fit()` as a list."""
    return keras.tree.flatten(callbacks) if callbacks else []


def is_backed_up(callbacks: list[Any]) -> bool:
    """Whether callbacks have a BackupAndRestore, Keras's or ours."""
    return bool(stock.instances(callbacks, "BackupAndRestore"))


def writes(model: Any) -> bool:
    """Whether this process writes the files."""
    return is_writer(model)


def refusal(model: Any) -> str | None:
    """Why the running `fit()` of a model cannot be backed up; None if it can."""
    fit = frames.fit_of(model)
    try:
        if fit is not None:
            data.build_model(model, fit.epoch_iterator)
        refuse_sharded(model, model)
    except Exception as error:
        return str(error)
    return None if model.built else "the model is not built before it is trained."


def why_not_exact(model: Any) -> str | None:
    """Why the order of the data cannot be restored; None if it can."""
    try:
        DataOrder(model)
    except ValueError as error:
        return str(error)
    return None


def identity(model: Any, *, epochs: Any = None, steps: Any = None, **_: Any) -> dict[str, Any]:
    """Identifies a `fit()` of a script, as JSON."""
    return {
        "model": type(model).__name__,
        "optimizer": _config(model.optimizer),
        "layers": [_config(layer) for layer in model.layers],
        "epochs": epochs,
        "batches": steps,
    }


def _config(part: Any) -> list[Any]:
    """The class of a layer or an optimizer, and its numbers and short texts."""
    try:
        config = part.get_config()
    except Exception:  # one of the user's may have none
        config = {}
    # Keras numbers names, and their numbers depend on what else the process has made.
    known = {name: value for name, value in config.items() if name != "name"}
    kinds = (bool, int, float, str)
    return [type(part).__name__, {n: v for n, v in known.items() if type(v) in kinds}]
