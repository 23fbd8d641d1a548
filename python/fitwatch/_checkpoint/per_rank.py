"""The per-process parts of a backup, where several processes train together."""

from typing import Any

from fitwatch._checkpoint.backup_dir import FoundBackup
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._checkpoint.data_order import DataOrder
from fitwatch._checkpoint.training_state import (
    TrainingState,
    as_lists,
    assign_lists,
    set_torch_state,
    torch_state,
)
from fitwatch._distributed.coordinator import Coordinator


def agree_on_backup(coordinator: Coordinator, folder: str, found: FoundBackup | None) -> None:
    """Checks that all processes resume from the same backup.

    Raises:
        ValueError: The processes have found different backups.
    """
    mark = None
    if found is not None:
        mark = [found.epoch, None if found.backup is None else found.backup.state["id"]]
    marks = coordinator.gather("the backup to resume from", mark)
    for rank, other in enumerate(marks):
        if other != marks[0]:
            ours, theirs = (
                "none" if one is None else f"one of epoch {one[0]}" for one in (marks[0], other)
            )
            raise ValueError(
                f"backup_dir {folder!r} must be one folder for all processes, on a file system "
                f"that they share: rank 0 finds {ours} there, rank {rank} {theirs}."
            )


def gather(
    coordinator: Coordinator | None, order: DataOrder | None, model: Any
) -> list[Any] | None:
    """Gathers what differs by process: the position in the data, random states, metrics.

    Returns:
        JSON values, by rank; None where one process trains alone, or all have the same.
    """
    if coordinator is None or (order is None and not coordinator.averages):
        return None
    own = coordinator.averages and order is not None
    metrics = model.metrics_variables if own else []
    state = {
        "torch": torch_state(),
        "exact": None if order is None else order.take([]),
        "metrics": as_lists(metrics),
        "seeds": as_lists(TrainingState(model).seeds) if coordinator.averages else [],
    }
    return coordinator.gather("a backup", state)


def exact(coordinator: Coordinator | None, backup: Backup) -> Any:
    """The position of this process in its data.

    Raises:
        ValueError: Another number of processes made the backup.
    """
    found, size = backup.state.get("processes", 1), 1 if coordinator is None else coordinator.size
    if found != size:
        raise ValueError(
            f"{found} processes made the backup, and {size} train now: the order of the data "
            "cannot be restored. Leave exact out."
        )
    own = _own(coordinator, backup)
    return backup.state["exact"] if own is None else own["exact"]


def load_random(coordinator: Coordinator | None, model: Any, backup: Backup | None) -> None:
    """Restores the random states of this process, if they differ by process."""
    own = _own(coordinator, backup)
    if own is not None:
        set_torch_state(own["torch"])
        assign_lists(TrainingState(model).seeds if own["seeds"] else [], own["seeds"])


def load_metrics(coordinator: Coordinator | None, model: Any, backup: Backup) -> None:
    """Restores the metrics of this process, if they differ by process."""
    own = _own(coordinator, backup)
    if own is not None and own["metrics"]:
        assign_lists(model.metrics_variables, own["metrics"])


def _own(coordinator: Coordinator | None, backup: Backup | None) -> Any:
    ranks = None if backup is None else backup.state.get("ranks")
    if ranks is None or coordinator is None or len(ranks) != coordinator.size:
        return None
    return ranks[coordinator.rank]
