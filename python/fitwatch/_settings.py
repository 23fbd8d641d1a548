"""What `fitwatch.enable()` sets for callback lists that are made later."""

DEFAULT_MAX_LAG = 16

# Batches that a decision which depends on batch values may come late.
max_lag = DEFAULT_MAX_LAG
