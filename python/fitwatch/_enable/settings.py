"""Settings of `fitwatch.enable()` and `fitwatch.distributed.configure()`, for later runs."""

from collections.abc import Callable
from typing import Any

DEFAULT_MAX_LAG = 16

# The most batches by which a decision that depends on batch values may be late.
max_lag = DEFAULT_MAX_LAG

# Whether the progress bar shows the validation inside a `fit()`.
validation_progress = False

# Gets the arguments of a list that a trainer makes, and returns its callbacks with others added.
add_callbacks: Callable[..., Any] | None = None

# Seconds that a process waits for the others to agree, and batches between two agreements inside an
# epoch.
deadline = 60.0
agree_every = 100

# Whether this process trains alone, although there are others.
alone = False
