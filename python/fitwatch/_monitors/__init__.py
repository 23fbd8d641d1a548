"""What callbacks with a monitored metric share."""
