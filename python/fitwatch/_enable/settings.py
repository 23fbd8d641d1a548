"""Settings of `fitwatch.enable()` and `fitwatch.distributed.configure()`, for later runs."""

DEFAULT_MAX_LAG = 16

# The most batches by which a decision that depends on batch values may be late.
max_lag = DEFAULT_MAX_LAG

# Whether the progress bar shows the validation inside a `fit()`.
validation_progress = False

# Seconds that a process waits for the others to agree, and batches between two agreements inside an
# epoch.
deadline = 60.0
agree_every = 100

# Whether this process trains alone, although there are others.
alone = False
