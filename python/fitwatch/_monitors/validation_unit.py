"""Monitors that count in validations."""

from typing import Any, NamedTuple

from fitwatch._engine.after_batch import after_batches
from fitwatch._monitors.batch_unit import BatchMonitor
from fitwatch._monitors.validating import Validating


class Counted(NamedTuple):
    """A validation that a monitor counts."""

    number: int
    """Its number, from 0."""
    epoch: int
    where: str
    """The epoch and the batch, counted from 1, as text for a message."""


def count_validation(callback: Any, logs: dict[str, Any]) -> Counted | None:
    """Counts a validation, if the monitor counts validations and this one has its metrics.

    Args:
        callback: The monitor.
        logs: The logs of the validation.

    Returns:
        The validation; None if it does not count.
    """
    own: BatchMonitor = callback._fitwatch
    joined = after_batches(own.callback_list)
    if own.batches.unit != "validation" or joined is None:
        return None
    validations = joined.validations
    others = {one.name for one in own.siblings() if _is_validation(one)} - {validations.prefix}
    metrics = own.metrics(callback)
    if all(logs.get(name) is None and name.split("_")[0] in others for name in metrics):
        return None
    own.prepare(callback)
    number = own.batches.seen
    own.batches.seen = number + 1
    return Counted(number, validations.epoch, validations.where)


def _is_validation(callback: Any) -> bool:
    return isinstance(getattr(callback, "__dict__", {}).get("_fitwatch"), Validating)
