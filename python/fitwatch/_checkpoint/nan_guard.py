"""Keeps other callbacks from saving a model in which TerminateOnNaN has found a NaN."""

from typing import Any

import keras
import numpy as np

from fitwatch._distributed import rank_aware
from fitwatch._engine.attachment import Part, attachment_of
from fitwatch._keras import stock
from fitwatch._warn import warn


class NanGuard(Part):
    """Used by callbacks that save the model, where their list has a `TerminateOnNaN`."""

    def __init__(self) -> None:
        self._has_warned = False

    def train_begin(self, callback: Any) -> None:
        self._has_warned = False

    def is_watched(self, callback: Any) -> bool:
        """Whether the list has fitwatch's `TerminateOnNaN`."""
        return bool(_watchers(callback))

    def has_spoiled_metrics(self, callback: Any, logs: Any) -> bool:
        """Whether a watched metric was not finite, in this fit or in these logs."""
        spoiled = any(watcher.has_seen_nan(logs) for watcher in _watchers(callback))
        return self._warned(callback, spoiled)

    def has_spoiled_weights(self, callback: Any) -> bool:
        """Whether a trained weight is not finite, if `is_watched`.

        A step with exploding gradients still has a finite loss; only the next step's is not.
        Weights that are not trained may be infinite on purpose, and are not checked.
        """
        weights = callback.model.trainable_variables if self.is_watched(callback) else ()
        # A single process cannot compute with arrays that span all of them.
        test = _is_finite if rank_aware.coordinator_of(callback) is None else _is_finite_here
        return self._warned(callback, not all(map(test, weights)))

    def _warned(self, callback: Any, spoiled: bool) -> bool:
        if spoiled and not self._has_warned:
            self._has_warned = True
            warn(
                f"{type(callback).__name__}: the model is not saved, and earlier files are kept: a "
                "metric or a weight is not finite."
            )
        return spoiled


def _is_finite(weight: Any) -> bool:
    if "complex" in str(weight.dtype):
        weight = keras.ops.abs(weight)
    return bool(keras.ops.all(keras.ops.isfinite(weight)))


def _is_finite_here(weight: Any) -> bool:
    return bool(np.all(np.isfinite(keras.ops.convert_to_numpy(weight))))


def _watchers(callback: Any) -> list[Any]:
    """The callbacks of the list that are fitwatch's `TerminateOnNaN`."""
    found = stock.instances(callback._fitwatch.siblings(), "TerminateOnNaN")
    return [one for one in found if attachment_of(one) is not None]
