"""Snapshots of a training in host memory."""

from typing import Any, NamedTuple

from fitwatch._checkpoint.training_state import set_torch_state, torch_state
from fitwatch._keras import model_state


class Snapshot(NamedTuple):
    """A training at one moment."""

    trained: int
    """Batches so far, across epochs."""
    rollbacks: int
    """Rollbacks so far."""
    epoch: int
    """The epoch."""
    variables: list[list[Any]]
    """The values of all variables: see `model_state.copied_state`."""
    random: Any
    """The random state of torch."""
    policies: list[tuple[Any, Any, Any]]
    """The moment of each callback that has one, behind its `RunState` and the callback."""

    def restore(self, model: Any, *, with_metrics: bool) -> None:
        """Restores the variables, those of the metrics only if they are wanted."""
        model_state.restore_state(model, self.variables, with_metrics=with_metrics)
        set_torch_state(self.random)


class Snapshots:
    """The newest snapshots of a training.

    Args:
        keep: How many are kept.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._all: list[Snapshot] = []

    def take(
        self,
        model: Any,
        trained: int,
        rollbacks: int,
        epoch: int,
        policies: list[tuple[Any, Any, Any]],
    ) -> None:
        """Adds a snapshot, in place of the oldest one if there are too many."""
        del self._all[: len(self._all) - self._keep + 1]  # first, for the memory
        state = model_state.copied_state(model)
        self._all.append(Snapshot(trained, rollbacks, epoch, state, torch_state(), policies))

    def before(self, trained: int) -> Snapshot | None:
        """The newest snapshot after at most this many batches."""
        old = [snapshot for snapshot in self._all if snapshot.trained <= trained]
        return old[-1] if old else None

    def forget_after(self, last: Snapshot) -> None:
        """Forgets the snapshots that are newer than one."""
        self._all = [one for one in self._all if one.trained <= last.trained]
