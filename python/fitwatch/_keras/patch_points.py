"""Where Keras finds what `fitwatch.enable()` replaces."""

import sys
from typing import Any, NamedTuple

import keras

from fitwatch._keras.version import unsupported

# The public modules that hand callbacks on: Keras's, and what `tf.keras` and `tensorflow.keras` are
# made of. Each has names of its own, and may be imported late.
NAMESPACES = (
    "keras.callbacks",
    "keras._tf_keras.keras.callbacks",
    "tensorflow.keras.callbacks",
)


class PatchPoints(NamedTuple):
    """Where Keras finds what `fitwatch.enable()` replaces."""

    lookup: Any
    """The module in which trainers look up `CallbackList`."""
    methods: list[tuple[type, str]]
    """The trainer's classes and methods that run hooks."""
    tracebacks: Any
    """The module that leaves Keras's frames out of tracebacks; None where it is another."""


def find_patch_points() -> PatchPoints:
    """Finds them, and sees to it that they are what they have to be.

    Raises:
        RuntimeError: This version of Keras has something else there.
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
        # Tools put methods of theirs in front of the trainer's (MLflow: into keras.Model).
        methods += [(cls, method) for cls in owners[: owners.index(trainer) + 1]]
    tracebacks = sys.modules.get("keras.src.utils.traceback_utils")
    known = isinstance(getattr(tracebacks, "_EXCLUDED_PATHS", None), tuple)
    return PatchPoints(lookup, methods, tracebacks if known else None)


def hidden_from(tracebacks: Any, folder: str) -> tuple[Any, str, Any]:
    """What to set, where, so that Keras leaves the frames of a folder out of tracebacks."""
    return tracebacks, "_EXCLUDED_PATHS", (*tracebacks._EXCLUDED_PATHS, folder)


def _looks_up(trainer: type, lookup: Any) -> bool:
    module = sys.modules.get(trainer.__module__)
    return getattr(module, "callbacks_module", None) is lookup
