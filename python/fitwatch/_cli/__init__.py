"""The commands of `python -m fitwatch`: the demo, `run` for scripts, and `view` for runs."""
