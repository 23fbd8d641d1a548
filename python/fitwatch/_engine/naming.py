"""Names that identify callbacks across runs and processes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any


def named(callbacks: list[Any]) -> Iterator[tuple[str, Any]]:
    """Pairs of name and callback: class, monitored metric and position among equals."""
    seen: Counter[str] = Counter()
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        name = type(callback).__name__ + (f"({monitor})" if isinstance(monitor, str) else "")
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name} {seen[name]}"), callback
