"""The content of a picture of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fitwatch._sinks.loss_record import LossRecord


@dataclass(frozen=True)
class Curve:
    """The data that are drawn."""

    losses: NDArray[np.floating]  # one for each batch
    first: int = 0  # number of the first batch; older ones may have been dropped
    # The batch of each loss, if they do not follow each other.
    steps: NDArray[np.int64] | None = None
    epochs: Sequence[tuple[int, int]] = ()  # each epoch and its first batch, ascending
    validation: Sequence[tuple[int, float]] = ()  # the batch at which it ran, and the value
    rate_drops: Sequence[tuple[int, float, float]] = ()  # batch, learning rate before and after
    best: tuple[int, int, float] | None = None  # the best epoch, its batch and value
    running: bool = False  # whether the losses are means over the epoch so far


def curve_of(record: "LossRecord", epoch: int | None) -> Curve:
    """The curve of an epoch, or of the whole run.

    Raises:
        IndexError: The epoch was not trained, or `capacity` has dropped its losses.
    """
    if epoch is None:
        return Curve(
            record.losses(),
            running=record.kind == "running",
            first=record.series.first,
            epochs=[(epoch, start) for epoch, (start, _) in sorted(record.epochs.items())],
            validation=record.validation,
            rate_drops=record.rate_drops,
            best=record.best() if len(record.epochs) > 1 else None,
        )
    start, stop = record.span(epoch)
    if start < stop <= record.series.first:
        raise IndexError(f"the losses of epoch {epoch} were dropped: see capacity.")
    within = range(start + 1, stop)  # without a reduction right before the epoch
    return Curve(
        record.losses(start, stop),
        running=record.kind == "running",
        first=max(start, record.series.first) - start,
        validation=[(at - start, value) for at, value in record.validation if start <= at < stop],
        rate_drops=[(at - start, old, new) for at, old, new in record.rate_drops if at in within],
    )
