"""The rules of monitors that count in batches, in plain NumPy."""

import numpy as np


def smoothed(values, halflife):
    """The bias-corrected exponential mean, one value after the other; only finite ones count."""
    values = np.asarray(values, dtype=np.float64)
    if halflife is None:
        return values
    means, mean, weight = [], np.nan, 0.0
    for value in values:
        weight *= 0.5 ** (1 / halflife)
        if np.isfinite(value):
            weight += 1
            mean = value if np.isnan(mean) else mean + (value - mean) / weight
        means.append(mean)
    return np.array(means)


def improves(value, best, min_delta, relative):
    if best is None:
        return not np.isnan(value) and value != np.inf
    delta = min_delta * abs(best) if relative else min_delta
    return value < best - delta if delta == 0 else value + delta < best


def stopped_at(losses, *, patience, min_delta=0.0, relative=False, halflife=None, start=0):
    """The batch at which `EarlyStopping` stops; None if it does not."""
    best, since = None, 0
    for batch, value in enumerate(smoothed(losses, halflife)):
        if batch < start:
            continue
        since += 1
        if improves(value, best, min_delta, relative):
            best, since = value, 0
        elif since >= patience and batch > 0:
            return batch
    return None


def reduced_at(losses, *, patience, cooldown=0, min_delta=0.0, relative=False, halflife=None):
    """The batches at which `ReduceLROnPlateau` reduces the rate."""
    best, since, rest, reductions = None, 0, 0, []
    for batch, value in enumerate(smoothed(losses, halflife)):
        if rest:
            rest, since = rest - 1, 0
        if improves(value, best, min_delta, relative):
            best, since = value, 0
        elif not rest:
            since += 1
            if since >= patience:
                reductions.append(batch)
                since, rest = 0, cooldown
    return reductions
