"""A metric monitor for Keras 3 with its core in Rust.

`fitwatch.callbacks` has drop-in replacements for the classes of `keras.callbacks`. Importing
`fitwatch` alone imports nothing heavy: Keras comes with `fitwatch.callbacks`.
"""

from typing import Any

from fitwatch._core import __version__

__all__ = ["__version__", "callbacks"]


def __getattr__(name: str) -> Any:
    """Imports `fitwatch.callbacks`, and with it Keras, when it is first used."""
    if name == "callbacks":
        import importlib

        return importlib.import_module("fitwatch.callbacks")
    raise AttributeError(f"module 'fitwatch' has no attribute {name!r}")
