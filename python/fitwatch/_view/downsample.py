"""Downsampling of losses for pictures, which keeps every spike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 2000  # about two for each pixel of a picture's width
CHUNK = 2**18  # losses that are sampled at once: a few megabytes, whatever the run's length


@dataclass(frozen=True)
class Bins:
    """Losses in bins of equal size; only finite ones count."""

    batches: NDArray[np.float64]  # the middle of each bin
    low: NDArray[np.float64]  # NaN in a bin without a finite loss
    high: NDArray[np.float64]
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]


def sample(
    losses: NDArray[np.floating], first: int = 0, steps: NDArray[np.int64] | None = None
) -> Bins:
    """Puts losses into at most `BINS` bins; one into each if there are no more than that.

    The losses are those of the batches from `first` on, or of `steps`.
    """
    size = max(1, -(-len(losses) // BINS))
    starts = np.arange(0, len(losses), size)
    ends = np.minimum(starts + size, len(losses))
    low, high, sums = (np.empty(len(starts)) for _ in range(3))
    counts = np.empty(len(starts), dtype=np.int64)
    step = max(1, CHUNK // size)
    for begin in range(0, len(starts), step):
        some = slice(begin, begin + step)
        chunk = losses[begin * size : (begin + step) * size]
        within = starts[some] - starts[begin]
        finite = np.isfinite(chunk)
        counts[some] = np.add.reduceat(finite, within, dtype=np.int64)
        sums[some] = np.add.reduceat(np.where(finite, chunk, 0), within, dtype=np.float64)
        chunk = np.where(finite, chunk, np.float32(np.nan))
        low[some] = np.fmin.reduceat(chunk, within)
        high[some] = np.fmax.reduceat(chunk, within)
    middles = (starts + ends - 1) / 2
    if steps is None:
        middles += first
    else:
        middles = (steps[starts] + steps[ends - 1]) / 2
    return Bins(middles, low, high, sums, counts)


def smooth(bins: Bins) -> NDArray[np.float64]:
    """The exponentially weighted mean of all finite losses up to each bin; NaN in an empty bin.

    It is computed over bins, not over single losses. The weight of a loss halves with every 1% of
    the shown range, or every five bins if that is more. With bias correction the line starts at the
    mean of the first bin, not at zero.
    """
    decay = 0.5 ** (1 / max(5.0, len(bins.counts) / 100))
    smoothed = np.full(len(bins.counts), np.nan)
    total = weight = 0.0
    for i, (added, count) in enumerate(zip(bins.sums, bins.counts, strict=True)):
        total = total * decay + added
        weight = weight * decay + count
        if count:
            smoothed[i] = total / weight
    return smoothed
