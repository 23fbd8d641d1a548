"""The commands of `python -m fitwatch`."""
