"""The messages about metrics that are missing."""

import difflib
from collections.abc import Iterable
from typing import Any

from fitwatch._warn import warn


def missing(callback: object, metric: str, available: Iterable[str]) -> str:
    """A message that names the available metrics, and the one with the nearest name."""
    there = list(map(str, available))
    nearest = difflib.get_close_matches(metric, there, n=1, cutoff=0.0)
    hint = f" Nearest: {nearest[0]!r}." if nearest else ""
    return (
        f"{type(callback).__name__}: the monitored metric {metric!r} is not available. "
        f"Available metrics: {', '.join(there) or 'none'}.{hint}"
    )


def report_missing(name: str, columns: Iterable[str], logs: Any) -> None:
    """Warns that batches have no values of some columns, by the name of a callback's class."""
    known = map(str, logs if isinstance(logs, dict) else ())
    there = ", ".join(one for one in known if not one.startswith("val_")) or "none"
    missing = ", ".join(map(repr, columns))
    warn(f"{name}: the logs of a batch have no numeric {missing}. Available: {there}.")
