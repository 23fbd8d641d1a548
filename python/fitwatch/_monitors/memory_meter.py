"""Measures the memory of this process and of its devices: the private part of `MemoryMonitor`."""

import math
from collections.abc import Callable
from typing import Any

from fitwatch._engine.meters import Meter
from fitwatch._engine.step_kinds import Kind
from fitwatch._monitors import memory
from fitwatch._monitors.health import Health

_READ: dict[str, Callable[[], int | None]] = {
    "memory_rss": memory.rss,
    "memory_rss_peak": memory.rss_peak,
    "device_memory": memory.device_memory,
    "device_memory_peak": memory.device_memory_peak,
}


class MemoryMeter(Meter):
    """Measures memory at the first batch and every `every` batches, in bytes."""

    def __init__(self, every: int) -> None:
        self.columns = {name: Kind.MEMORY for name, read in _READ.items() if read() is not None}
        self._every = every
        # Batches until the next measurement.
        self._left = 1

    def begin(self) -> None:
        """Does nothing."""

    def end(self, batches: int) -> list[float]:
        self._left -= batches
        if self._left > 0:
            return [math.nan] * len(self.columns)
        self._left = self._every
        return self.values()

    def values(self) -> list[float]:
        """The values now."""
        values = [_READ[name]() for name in self.columns]
        return [math.nan if value is None else float(value) for value in values]


class MemoryUse(Health):
    """The attachment of `MemoryMonitor`."""

    left_out = Health.left_out | {"_meter"}
    kind = Kind.MEMORY

    _meter: MemoryMeter | None = None

    def begin(self, callback: Any) -> None:
        self._meter = MemoryMeter(callback.every)
        super().begin(callback)

    def meters(self) -> list[Meter]:
        return [] if self._meter is None else [self._meter]

    def add_to_logs(self, logs: Any) -> None:
        """Adds the memory at the end of the epoch."""
        if self._meter is not None and isinstance(logs, dict):
            for name, value in zip(self._meter.columns, self._meter.values(), strict=True):
                logs.setdefault(name, value)

    def train_end(self, callback: Any) -> None:
        super().train_end(callback)
        self._meter = None
