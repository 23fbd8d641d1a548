"""The compiled list's Python half: plans, lazy logs, readers of each backend, step columns."""
