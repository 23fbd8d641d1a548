"""Finds the running method of Keras's trainer in the call stack.

Keras does not tell a callback which list it is in, or whether `fit()` is calling. The frames of the
call stack do, and the local variables of `fit()`.
"""

import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

from fitwatch._keras.stock import OURS, STOCK


class ValidationData(NamedTuple):
    """The data that a model is evaluated on."""

    x: Any
    y: Any = None
    sample_weight: Any = None
    batch_size: int | None = None
    steps: int | None = None
    freq: Any = None
    """After which epochs `fit()` evaluates the model: its `validation_freq`."""


class Fit(NamedTuple):
    """A `fit()` that is running in this thread."""

    frame: int
    """The identity of its frame."""
    owners: list[Any]
    """Objects that die with the `fit()`, the first one usually as soon as it ends."""
    epoch_iterator: Any
    """The iterator of its batches."""
    validation: ValidationData | None
    """Its validation data, also those of `validation_split`."""


def fit_of(model: Any) -> Fit | None:
    """The running `fit()` of this model; None in a custom loop."""
    for frame in _outwards(sys._getframe(1)):
        if _trainer_method(frame) == "fit" and frame.f_locals.get("self") is model:
            local = frame.f_locals
            iterator = local.get("epoch_iterator")
            owners = [owner for owner in (local.get("callbacks"), iterator) if owner is not None]
            return Fit(id(frame), owners, iterator, _validation_data(local))
    return None


def _validation_data(local: Mapping[str, Any]) -> ValidationData | None:
    if local.get("validation_data") is None:
        return None
    return ValidationData(
        local["val_x"],
        local["val_y"],
        local["val_sample_weight"],
        local["validation_batch_size"] or local["batch_size"],
        local["validation_steps"],
        local["validation_freq"],
    )


def calling_list() -> tuple[Any, str | None]:
    """The callback list that is calling a callback's hook, and the trainer's method that runs it.

    Returns:
        The list, or None; and `"fit"`, `"evaluate"`, `"predict"`, or None for a custom loop. The
        first frame that is neither a method of the list nor code of fitwatch runs the list.
    """
    callback_list = None
    for frame in _outwards(sys._getframe(1)):
        if frame.f_code.co_filename.startswith(OURS):
            continue
        owner = frame.f_locals.get("self")
        # By its type: isinstance() may raise for a proxy object.
        if callback_list is None and issubclass(type(owner), STOCK["CallbackList"]):
            callback_list = owner
        elif callback_list is not None and owner is not callback_list:
            return callback_list, _trainer_method(frame)
    return callback_list, None


def is_fitting(thread: int, callback_list: Any) -> bool:
    """Whether a `fit()` with this list is running in a thread."""
    return any(
        _trainer_method(frame) == "fit"
        and any(local is callback_list for local in frame.f_locals.values())
        for frame in _outwards(sys._current_frames().get(thread))
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _trainer_method(frame: FrameType) -> str | None:
    """The name of the trainer's method that a frame belongs to: fit, evaluate or predict."""
    name = frame.f_code.co_name
    if name not in ("fit", "evaluate", "predict"):
        return None
    return name if frame.f_globals.get("__name__", "").startswith("keras.") else None
