"""A metric monitor for Keras 3 with its core in Rust.

`fitwatch.enable()` makes every `fit()` a fitwatch one. `fitwatch.callbacks` has drop-in
replacements for the classes of `keras.callbacks`, to be used with or without it, and
`fitwatch.CallbackList` is for loops of your own. Importing `fitwatch` alone imports nothing heavy:
Keras comes with `fitwatch.callbacks`.
"""

from typing import Any

from fitwatch._core import __version__
from fitwatch._enable import disable, enable, enabled

__all__ = ["CallbackList", "__version__", "callbacks", "disable", "enable", "enabled"]


def __getattr__(name: str) -> Any:
    """Imports `fitwatch.callbacks`, and with it Keras, when it is first used."""
    if name in ("callbacks", "CallbackList"):
        import importlib

        callbacks = importlib.import_module("fitwatch.callbacks")
        return callbacks if name == "callbacks" else callbacks.CallbackList
    raise AttributeError(f"module 'fitwatch' has no attribute {name!r}")
