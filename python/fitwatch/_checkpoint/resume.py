"""How a training that was interrupted is taken up again."""

from collections.abc import Callable
from typing import Any

from fitwatch import _core, _files
from fitwatch._checkpoint import per_rank
from fitwatch._checkpoint.backup_dir import BackupFolder, Found
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.callback_states import Companions
from fitwatch._checkpoint.data_order import DataOrder
from fitwatch._checkpoint.resumed_stop import NO_MORE, is_over
from fitwatch._checkpoint.sharded import refuse_scattered
from fitwatch._checkpoint.training_state import TrainingState
from fitwatch._distributed import rank_aware
from fitwatch._distributed.rank_aware import Agreeing
from fitwatch._keras import stock, trainer


class Resumes(Agreeing):
    """Mixin for `BackupAndRestore`: finds a backup, and gives everybody what is in it.

    Everything is found and checked before any callback of the list begins, and the model has its
    weights by then. What callbacks reset when they begin comes before the first epoch.
    """

    # What the callback has.
    backup_dir: str
    exact: bool
    model: Any
    _model: Any
    _current_epoch: int
    _load_model: Callable[[], None]
    _fitwatch_is_remote: Callable[[], bool]
    _fitwatch_core: _core.Checkpoint
    _fitwatch_folder: BackupFolder
    _fitwatch_due: bool
    _fitwatch_due_at_end: bool

    # The backup that this fit goes on from; and whether one was looked for.
    _fitwatch_found: Found | None = None
    _fitwatch_looked = False
    _fitwatch_is_resumed = False
    # Whether the first epoch of this fit has begun, and whether it was set where it begins.
    _fitwatch_began = False
    _fitwatch_set_epoch = False
    # The order of the data, where it is to be exact.
    _fitwatch_order: DataOrder | None = None

    def _fitwatch_before_training(self, logs: Any = None) -> None:
        """Finds the backup, and gives the callbacks their states before they begin."""
        agreement = rank_aware.agreement(self)
        if agreement is not None:
            agreement.begin()  # all have ended what was before
        self._fitwatch_end()
        self._fitwatch_looked = True
        self._fitwatch_core = _core.Checkpoint()
        self._fitwatch_began = self._fitwatch_due = self._fitwatch_due_at_end = False
        self._fitwatch_found = None
        if self.exact:
            theirs = stock.STOCK["BackupAndRestore"]
            others = [c for c in self._fitwatch.siblings() if issubclass(type(c), theirs)]
            if len(others) > 1:
                raise ValueError(
                    "BackupAndRestore(exact=True) must be the only one in its list: which of "
                    f"{len(others)} backups to go on from cannot be known."
                )
            self._fitwatch_order = DataOrder(self._model)
        if self._fitwatch_is_remote():
            self._load_model()
            return
        if not self._fitwatch.is_silent:
            _files.ensure_writable_ancestor("backup_dir", self.backup_dir)
        if not self.model.built:
            raise ValueError(
                "the model must be built before BackupAndRestore can take it up: call it on a "
                f"batch of data first, or give it an Input: {self.model}."
            )
        refuse_scattered(self, self.model)
        self._fitwatch_folder = BackupFolder(self)
        found = self._fitwatch_found = self._fitwatch_folder.find()
        if agreement := rank_aware.agreement(self):
            per_rank.agree_on_backup(agreement, self.backup_dir, found)
        if found is not None:
            self._fitwatch_check(found)
        self._fitwatch_is_resumed = False
        self._load_model()
        if found is None or not self._fitwatch_is_resumed:  # a subclass may want nothing of it
            self._fitwatch_found = None
        elif found.backup is not None:
            states = found.backup.state["callbacks"]
            self._fitwatch_companion_states().begin(states, found.backup.arrays)
            if found.was_stopped and is_over(self._fitwatch.siblings(), found.has_ended):
                trainer.set_initial_epoch(self.model, NO_MORE)

    def _fitwatch_check(self, found: Found) -> None:
        exact = self._fitwatch_exact(found.backup)
        if self.exact and found.is_inside and exact is None:
            raise ValueError(
                f"{found.path} was made without exact=True, in the middle of an epoch: which "
                "batches are left cannot be known. Leave exact out to train the epoch anew."
            )
        if found.backup is None:
            return
        state, training = found.backup.state, TrainingState(self.model)
        training.check(found.path, found.backup)
        order = self._fitwatch_order
        if order is not None and exact is not None:
            trained, at_a_time = state["trained"], self._model.steps_per_execution
            order.check(exact, found.backup.arrays, trained, at_a_time)
            if trained:
                order.build_metrics(self.model)
                training.check_metrics(found.path, found.backup)

    def _fitwatch_before_epoch(self, epoch: int, logs: Any = None) -> None:
        """Gives back what `fit()` and the callbacks would have reset, before the first epoch."""
        self._current_epoch = epoch
        order, found = self._fitwatch_order, self._fitwatch_found
        backup = None if found is None else found.backup
        self._fitwatch_found = None
        first, self._fitwatch_began = not self._fitwatch_began, True
        if first:
            self._fitwatch_release_epoch()
        if first and backup is not None:
            exact = None if order is None else self._fitwatch_exact(backup)
            trained = 0 if exact is None else backup.state["trained"]
            if trained and epoch != backup.state["epoch"]:
                raise ValueError(
                    f"fit() begins at epoch {epoch}, and the backup is one of the middle of epoch "
                    f"{backup.state['epoch']}: leave initial_epoch out."
                )
            states = backup.state["callbacks"]
            self._fitwatch_companion_states().begin_first_epoch(states, trained)
            self._fitwatch_core.batches_since = backup.state["batches_since"]
            if order is not None and exact is not None:
                order.go_on(exact, epoch, trained)
                if trained:
                    TrainingState(self.model).load_metrics(backup)
                    per_rank.load_metrics(rank_aware.agreement(self), self.model, backup)
                    self._fitwatch_core.last_batch = trained - 1
                return
        if order is not None:
            order.begin_epoch(epoch)

    def _fitwatch_exact(self, backup: Backup | None) -> Any:
        """Where this process was in its data; None if that is not known."""
        if backup is None or not self.exact:
            return None
        return per_rank.exact(rank_aware.agreement(self), backup)

    def _fitwatch_failed(self, error: BaseException) -> None:
        """An exception goes through a hook of the list."""
        agreement = rank_aware.agreement(self)
        if agreement is not None:
            agreement.leave(error)
        if not self._fitwatch_began:
            self._fitwatch_companion_states().forget()
        self._fitwatch_end()

    def _fitwatch_end(self) -> None:
        self._fitwatch_release_epoch()
        self._fitwatch_order = None
        self._fitwatch_looked = False

    def _fitwatch_release_epoch(self) -> None:
        """The next fit begins where it is told to."""
        if self._fitwatch_set_epoch:
            self._fitwatch_set_epoch = False
            trainer.set_initial_epoch(trainer.model_of(self), None)

    def _fitwatch_companion_states(self) -> Companions:
        return Companions(self._fitwatch.siblings(), history=self.exact)
