"""What `fitwatch.enable()` and `fitwatch.distributed.configure()` set for what begins later."""

DEFAULT_MAX_LAG = 16

# Batches that a decision which depends on batch values may come late.
max_lag = DEFAULT_MAX_LAG

# Whether the progress bar shows the validation inside a `fit()`.
validation_progress = False

# Seconds that a process waits for the others where they agree, and the batches between two
# agreements inside an epoch.
deadline = 60.0
agree_every = 100

# Whether this process trains for itself, whatever others there are.
alone = False
