"""The commands of `python -m fitwatch`: the demo, and `run` for scripts."""
