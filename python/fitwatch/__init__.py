"""A metric monitor for Keras 3 with its core in Rust.

`fitwatch.enable()` makes every later `fit()` use fitwatch, `fitwatch.enabled()` does so for a
block, and `fitwatch.disable()` undoes it; in IPython and notebooks `%load_ext fitwatch` and
`%unload_ext fitwatch` do the same. `fitwatch.callbacks` has drop-in replacements for the
classes of `keras.callbacks`, for use with or without `enable()`. `fitwatch.CallbackList` and
`fitwatch.EventFileWriter` are for custom loops, `fitwatch.Block` is what a `BlockLogger` hands out,
`fitwatch.resumable()` makes data whose order can be restored, and `fitwatch.distributed` is about
training in several processes. `fitwatch.read()` reads recorded runs, and `fitwatch.view()` shows
them in a notebook. `import fitwatch` imports neither Keras nor NumPy; they are imported on first
use.
"""

from typing import Any

from fitwatch._core import __version__
from fitwatch._enable.patch import disable, enable, enabled

__all__ = [
    "Block",
    "CallbackList",
    "EventFileWriter",
    "__version__",
    "callbacks",
    "disable",
    "distributed",
    "enable",
    "enabled",
    "read",
    "resumable",
    "view",
]


def load_ipython_extension(ipython: Any) -> None:
    """Called by `%load_ext fitwatch`: enables fitwatch.

    Args:
        ipython: IPython's shell.
    """
    enable()


def unload_ipython_extension(ipython: Any) -> None:
    """Called by `%unload_ext fitwatch`: disables fitwatch.

    Args:
        ipython: IPython's shell.
    """
    disable()


def __getattr__(name: str) -> Any:
    """Imports modules that need Keras or NumPy on first use."""
    if name == "Block":
        from fitwatch._sinks.block import Block

        return Block
    if name == "EventFileWriter":
        from fitwatch._sinks.event_writer import EventFileWriter

        return EventFileWriter
    if name == "read":
        from fitwatch._view.runs import read

        return read
    if name == "view":
        from fitwatch._view.notebook import view

        return view
    if name in ("CallbackList", "callbacks", "distributed", "resumable"):
        # If `enable()` waits for Keras, it imports modules of fitwatch once Keras is there: these
        # must not be in the middle of their own import then.
        import keras as keras

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
