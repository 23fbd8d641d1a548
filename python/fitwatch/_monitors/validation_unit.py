"""Monitors that count in validations."""

from typing import Any, NamedTuple

from fitwatch._engine.after_batch import after_batches
from fitwatch._keras import trainer
from fitwatch._keras.frames import fit_of
from fitwatch._monitors.batch_unit import BatchMonitor
from fitwatch._monitors.validating import validation_names
from fitwatch._warn import warn


class Counted(NamedTuple):
    """A validation that a monitor counts."""

    number: int
    """Its number, from 0."""
    epoch: int
    prefix: str
    """That of its metrics."""
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
    if not any(is_of(name, validations.prefix, own) for name in own.metrics(callback)):
        return None
    own.prepare(callback)
    number = own.batches.seen
    own.batches.seen = number + 1
    return Counted(number, validations.epoch, validations.prefix, validations.where)


def is_of(metric: str, prefix: str, own: BatchMonitor) -> bool:
    """Whether a metric may be one of a validation with this prefix: of no other one, that is."""
    joined = after_batches(own.callback_list)
    of_fit = {"val"} if joined is not None and joined.validations.of_fit else set()
    others = (validation_names(own.siblings()) | of_fit) - {prefix}
    return not any(metric.startswith(f"{other}_") for other in others)


def warn_without_validation(callback: Any) -> None:
    """Warns when training begins, if there will be no validation to count."""
    own = callback._fitwatch
    fit = fit_of(trainer.model_of(callback)) if own.wants_validations(callback) else None
    if fit is not None and fit.validation is None and not validation_names(own.siblings()):
        warn(
            f"{type(callback).__name__}: it waits for validations, but there are none. Give fit() "
            "validation_data, or add a Validation(validation_data=...) to the callbacks."
        )
