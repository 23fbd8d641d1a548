"""The places in Keras where `fitwatch.enable()` replaces classes and methods."""

import sys
from typing import Any, NamedTuple

import keras

from fitwatch._keras.version import unsupported

# The public modules that export callbacks: Keras's, and those behind `tf.keras` and
# `tensorflow.keras`. Each has its own names, and may be imported later.
NAMESPACES = (
    "keras.callbacks",
    "keras._tf_keras.keras.callbacks",
    "tensorflow.keras.callbacks",
)


class PatchPoints(NamedTuple):
    """The places in Keras where `fitwatch.enable()` replaces classes and methods."""

    lookup: Any
    """The module in which trainers look up `CallbackList`."""
    methods: list[tuple[type, str]]
    """The trainer classes and their methods that run hooks."""
    tracebacks: Any
    """The module that removes Keras's frames from tracebacks; None if it is not as expected."""


def find_patch_points() -> PatchPoints:
    """Finds the patch points, and checks that they are as expected.

    Raises:
        RuntimeError: This version of Keras is not supported.
    """
    lookup: Any = sys.modules.get("keras.src.callbacks")
    stock = getattr(lookup, "CallbackList", None)
    if stock is None or stock is not keras.callbacks.CallbackList:
        raise unsupported("keras.src.callbacks.CallbackList")
    methods = []
    for method in ("fit", "evaluate", "predict"):
        owners = [cls for cls in keras.Model.__mro__ if method in vars(cls)]
        trainer = next((cls for cls in owners if _looks_up(cls, lookup)), None)
        if trainer is None:
            raise unsupported(f"a trainer that looks up keras.src.callbacks in its {method}()")
        # Tools may override the trainer's methods (MLflow does in keras.Model).
        methods += [(cls, method) for cls in owners[: owners.index(trainer) + 1]]
    tracebacks = sys.modules.get("keras.src.utils.traceback_utils")
    known = isinstance(getattr(tracebacks, "_EXCLUDED_PATHS", None), tuple)
    return PatchPoints(lookup, methods, tracebacks if known else None)


def hidden_from(tracebacks: Any, folder: str) -> tuple[Any, str, Any]:
    """The attribute and value that make Keras remove the frames of a folder from tracebacks."""
    return tracebacks, "_EXCLUDED_PATHS", (*tracebacks._EXCLUDED_PATHS, folder)


def _looks_up(trainer: type, lookup: Any) -> bool:
    module = sys.modules.get(trainer.__module__)
    return getattr(module, "callbacks_module", None) is lookup
