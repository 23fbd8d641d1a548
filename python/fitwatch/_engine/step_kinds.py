"""The kinds of step columns, and the keys under which they leave the train step."""

from enum import IntFlag

from fitwatch import _core

# The key under which the columns leave the train step among the logs; it is removed at once.
KEY = "fitwatch: the columns of the batch"


def is_health(name: str) -> bool:
    """Whether a column of this name is one of the health monitors'."""
    return name.split("/")[0] in HEALTH_COLUMNS


HEALTH_COLUMNS = frozenset(
    [
        "grad_norm",
        "grad_norm_clipped",
        "update_ratio",
        "learning_rate",
        *_core.Throughput.names,
        "memory_rss",
        "memory_rss_peak",
        "device_memory",
        "device_memory_peak",
    ]
)

LARGER_IS_BETTER = frozenset({"batches_per_second", "samples_per_second"})


class Kind(IntFlag):
    """What a step column is about; a sink takes the columns of some kinds.

    The core reads `SKIPS`: a negative value of such a column stands for no value. The progress bar
    shows the columns with `IN_BAR`.
    """

    LOSS = 1
    METRIC = 2
    GRADIENT = 4
    RATE = 8
    THROUGHPUT = 16
    MEMORY = 32
    HEALTH = GRADIENT | RATE | THROUGHPUT | MEMORY
    ALL = LOSS | METRIC | HEALTH
    IN_BAR = 64
    SKIPS = 128
