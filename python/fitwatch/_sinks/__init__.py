"""Sinks of values: CSV files, event files, the progress bar, the record of losses."""
