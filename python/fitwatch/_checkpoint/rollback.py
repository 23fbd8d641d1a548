"""Going back to an earlier moment of a training, in memory."""

from typing import Any

from fitwatch import _core
from fitwatch._checkpoint.run_state import RunState, run_state_of
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._checkpoint.snapshots import Snapshot, Snapshots
from fitwatch._distributed import rank_aware
from fitwatch._enable import settings
from fitwatch._engine.attachment import Part
from fitwatch._engine.plan import recorder_of
from fitwatch._keras import learning_rate, trainer
from fitwatch._keras.optimizer import has_schedule


class Rollback(Part):
    """Takes snapshots of a training, and goes back to one.

    Args:
        every: The number of batches between two snapshots.
        keep: How many are kept.
        lr_factor: What the learning rate is multiplied by, each time.

    Attributes:
        asked: The first batch whose values are to be undone; None for none.
    """

    left_out = frozenset({"asked", "_due", "_snapshots"})

    # How many batches spikes may go on until the training goes back all the same.
    LONGEST = 32

    asked: int | None = None
    _due: tuple[_core.BatchCount, _core.Every] | None = None
    _snapshots: Snapshots | None = None
    # How many batches a snapshot is older than a spike, at least.
    _margin = 0

    def __init__(self, every: int, keep: int, lr_factor: float) -> None:
        self.every = every
        self.keep = keep
        self.lr_factor = lr_factor

    def begin(self, callback: Any) -> None:
        """Called when training begins.

        Raises:
            ValueError: The training cannot be rolled back as the arguments say.
        """
        model = trainer.model_of(callback)
        refuse_sharded(callback, model)
        optimizer = getattr(model, "optimizer", None)
        if (
            self.lr_factor != 1
            and optimizer is not None
            and any(has_schedule(inner) for inner, _ in learning_rate.optimizers(optimizer))
        ):
            raise ValueError(
                f"lr_factor must be 1 with a LearningRateSchedule, which sets the learning rate; "
                f"got {self.lr_factor!r}."
            )
        recorder = recorder_of(callback._fitwatch.callback_list)
        lag = settings.max_lag if recorder is None else recorder.max_lag
        coordinator = rank_aware.coordinator_of(callback)
        late = lag if coordinator is None else max(lag, settings.agree_every)
        steps = int(getattr(model, "steps_per_execution", 1))
        self._margin = max(lag, steps - 1)
        needed = late + self._margin + steps
        if self.every * (self.keep - 1) < needed:
            raise ValueError(
                f"snapshot_every * (max_to_keep - 1) must be {needed} or more, so that a snapshot "
                f"is kept that is {self._margin} batches older than a spike which is seen {late} "
                f"batches late; got snapshot_every={self.every}, max_to_keep={self.keep}."
            )
        self.asked = None
        self._snapshots = Snapshots(self.keep)
        self._due = None

    def ask(self, batch: int) -> None:
        """Makes the training go back, after a spike at a batch."""
        if self.asked is None:
            self.asked = batch
        self.ask_again()

    def ask_again(self, *, asked: bool = True) -> None:
        """Makes the action be called after the next batch, or only after `every` batches."""
        if self._due is not None:
            self._due[1].asked = asked

    def due_after(self, count: _core.BatchCount) -> _core.Every:
        """The sink that tells when the action is due, given a count of the batches."""
        if self._due is None or self._due[0] is not count:
            self._due = count, _core.Every(count, self.every)
            self._due[1].asked = True  # the first snapshot
        return self._due[1]

    def take(self, callback: Any, trained: int, rollbacks: int, epoch: int) -> None:
        """Takes a snapshot, after this many batches and rollbacks, in an epoch."""
        if self._snapshots is None:
            return
        model = trainer.model_of(callback)
        policies: list[tuple[RunState, Any, Any]] = []
        for sibling in callback._fitwatch.siblings():
            state = run_state_of(sibling)
            if state is not None:
                policies.append((state, sibling, state.moment(sibling)))
        self._snapshots.take(model, trained, rollbacks, epoch, policies)

    def before(self, batch: int) -> Snapshot | None:
        """The newest snapshot that is old enough for a spike at a batch."""
        return None if self._snapshots is None else self._snapshots.before(batch - self._margin)

    def go_back(
        self, callback: Any, snapshot: Snapshot, trained: int, rollbacks: int, epoch: int | None
    ) -> None:
        """Goes back to a snapshot, and forgets newer ones.

        Args:
            callback: The callback.
            snapshot: The snapshot.
            trained: Batches so far.
            rollbacks: Rollbacks so far, with this one.
            epoch: The epoch that is running; None at the end of one.
        """
        model = trainer.model_of(callback)
        before = learning_rate.first_rate(callback.model)
        snapshot.restore(model, with_metrics=epoch == snapshot.epoch)
        if epoch is not None and epoch != snapshot.epoch:
            model.reset_metrics()  # the snapshot has those of an earlier epoch
        if self._snapshots is not None:
            self._snapshots.forget_after(snapshot)
        factor = self.lr_factor ** (rollbacks - snapshot.rollbacks)
        if factor != 1:
            for optimizer, _ in learning_rate.optimizers(model.optimizer):
                optimizer.learning_rate = learning_rate.rate_of(optimizer) * factor
        for state, sibling, moment in snapshot.policies:
            state.rewind(sibling, moment)
        after = learning_rate.first_rate(model)
        if after != before:
            callback._fitwatch.announce_rate(trained, before, after)

    def end(self) -> None:
        """Frees the memory of the snapshots."""
        self._snapshots = self._due = None

    def close(self, callback: Any, *, interrupted: bool) -> None:
        self.end()
