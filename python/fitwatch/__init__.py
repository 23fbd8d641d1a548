"""A metric monitor for Keras 3 with its core in Rust.

`fitwatch.enable()` makes every `fit()` a fitwatch one, `fitwatch.enabled()` does so for a block,
and `fitwatch.disable()` ends it. `fitwatch.callbacks` has drop-in replacements for the classes of
`keras.callbacks`, to be used with or without it. `fitwatch.CallbackList` and
`fitwatch.EventFileWriter` are for loops of your own, `fitwatch.resumable()` makes data whose order
can be brought back, and `fitwatch.distributed` is about training in several processes. Importing
`fitwatch` alone imports nothing heavy: Keras and NumPy come with what is used of it.
"""

from typing import Any

from fitwatch._core import __version__
from fitwatch._enable.patch import disable, enable, enabled

__all__ = [
    "CallbackList",
    "EventFileWriter",
    "__version__",
    "callbacks",
    "disable",
    "distributed",
    "enable",
    "enabled",
    "resumable",
]


def __getattr__(name: str) -> Any:
    """Imports what is heavy when it is first used: Keras and NumPy."""
    if name == "EventFileWriter":
        from fitwatch._sinks.event_writer import EventFileWriter

        return EventFileWriter
    if name == "resumable":
        from fitwatch._checkpoint.resumable_data import resumable

        return resumable
    if name in ("callbacks", "distributed"):
        import importlib

        return importlib.import_module(f"fitwatch.{name}")
    if name == "CallbackList":
        from fitwatch.callbacks import CallbackList

        return CallbackList
    raise AttributeError(f"module 'fitwatch' has no attribute {name!r}")
