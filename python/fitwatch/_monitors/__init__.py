"""Monitors: the private parts of callbacks that judge metrics."""
