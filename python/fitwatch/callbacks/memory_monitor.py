"""MemoryMonitor."""

from typing import Any

from fitwatch import _check
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._monitors.memory_meter import MemoryUse


class MemoryMonitor(FitwatchCallback):
    """Measures the memory of the process and of its devices, in bytes.

    It adds columns to what the other callbacks in the list write, record and monitor:

    - `memory_rss`: the resident memory of the process. On Linux.
    - `memory_rss_peak`: its largest so far. On Linux and macOS.
    - `device_memory`: what arrays take on all accelerators of the process. On GPUs, and where JAX
      knows it.
    - `device_memory_peak`: the sum of the devices' peaks so far.

    A column that cannot be measured here does not exist. The logs of an epoch have the values at
    its end. A metric with the name of a column keeps it, and fitwatch warns.

    Args:
        every: How many batches lie between two measurements; the first batch is measured. Other
            batches have no values. Default 100.

    Raises:
        ValueError: `every` is not a whole number of 1 or more; or the callback is in its list
            twice, which is raised when training begins.
        TypeError: `every` is not a number.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> from fitwatch.callbacks import MemoryMonitor
        >>> MemoryMonitor(every=10).every
        10
    """

    _fitwatch_type = MemoryUse
    _fitwatch: MemoryUse

    def __init__(self, *, every: int = 100) -> None:
        super().__init__()
        self.every = _check.count("every", every, minimum=1)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to measure."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)
