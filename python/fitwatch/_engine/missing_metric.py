"""The message about a monitored metric that is missing."""

import difflib
from collections.abc import Iterable


def missing(callback: object, metric: str, available: Iterable[str]) -> str:
    """A message that names the available metrics, and the one with the nearest name."""
    there = list(map(str, available))
    nearest = difflib.get_close_matches(metric, there, n=1, cutoff=0.0)
    hint = f" Nearest: {nearest[0]!r}." if nearest else ""
    return (
        f"{type(callback).__name__}: the monitored metric {metric!r} is not available. "
        f"Available metrics: {', '.join(there) or 'none'}.{hint}"
    )
