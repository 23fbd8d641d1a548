"""Saving and resuming: checkpoints, backups, retention, states of callbacks."""
