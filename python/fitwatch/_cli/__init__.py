"""`python -m fitwatch`: the demo, and scripts that run with `enable()`."""
