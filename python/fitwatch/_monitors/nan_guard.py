"""What TerminateOnNaN keeps others from doing."""

from typing import Any

import keras
import numpy as np

from fitwatch._checkpoint.callback_states import has_method
from fitwatch._distributed import rank_aware
from fitwatch._keras.stock import STOCK
from fitwatch._warn import warn


class Guarded:
    """Mixin for a callback that saves the model: a `TerminateOnNaN` in its list may object."""

    _fitwatch_withheld = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch_withheld = False
        super().on_train_begin(logs)  # type: ignore[misc]

    def _fitwatch_watched(self) -> bool:
        """Whether there is anybody who may object."""
        return bool(_watchers(self))

    def _fitwatch_spoiled_metrics(self, logs: Any) -> bool:
        """Whether a watched metric has not been finite, in this fit or in these logs."""
        spoiled = any(watcher.has_seen_nan(logs) for watcher in _watchers(self))
        return self._fitwatch_withhold(spoiled)

    def _fitwatch_spoiled_weights(self) -> bool:
        """Whether a trained weight is not finite, where somebody watches.

        The step whose gradients were too large has a finite loss itself: it is the next one that
        has none. Weights that are not trained are as they were made: infinite on purpose, perhaps.
        """
        weights = self.model.trainable_variables if self._fitwatch_watched() else ()  # type: ignore[attr-defined]
        # One process alone computes nothing with the arrays of all.
        test = _is_finite if rank_aware.agreement(self) is None else _is_finite_here
        return self._fitwatch_withhold(not all(map(test, weights)))

    def _fitwatch_withhold(self, spoiled: bool) -> bool:
        if spoiled and not self._fitwatch_withheld:
            self._fitwatch_withheld = True
            warn(
                f"{type(self).__name__}: the model is not saved, and what was saved before is "
                "kept: a metric or a weight is not finite."
            )
        return spoiled


def _is_finite(weight: Any) -> bool:
    if "complex" in str(weight.dtype):
        weight = keras.ops.abs(weight)
    return bool(keras.ops.all(keras.ops.isfinite(weight)))


def _is_finite_here(weight: Any) -> bool:
    return bool(np.all(np.isfinite(keras.ops.convert_to_numpy(weight))))


def _watchers(callback: Any) -> list[Any]:
    """The callbacks of the list that are fitwatch's TerminateOnNaN."""
    return [
        one
        for one in callback._fitwatch.siblings()
        if issubclass(type(one), STOCK["TerminateOnNaN"]) and has_method(one, "has_seen_nan")
    ]
