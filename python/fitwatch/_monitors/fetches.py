"""Watches how `fit()` fetches its data."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from fitwatch import _core
from fitwatch._keras import data


class Fetches:
    """Times how long each call of the train function waits for its data, and counts their samples.

    On JAX and torch, Python fetches the batches, from this object. TensorFlow fetches them inside
    its graph: the wait is not known there, and the samples only where Keras knows them.

    Args:
        iterator: The epoch iterator of a `fit()`.
        before: Called before a batch is fetched.
        spent: Where the waits are summed, if they are to be reported.

    Attributes:
        trained: How many batches of the epoch are trained after the call.
    """

    def __init__(
        self, iterator: Any, before: Callable[[], None], spent: _core.Spent | None
    ) -> None:
        self.trained = 0
        self.times_waits = keras.config.backend() != "tensorflow"
        self._epoch_iterator = iterator
        self._before = before
        self._spent = spent
        self._batches: Any = iter(())
        self._waited = 0.0
        self._samples: int | None = 0
        data.reroute(iterator, self._read)

    @property
    def counts_samples(self) -> bool:
        """Whether samples are known."""
        return self.times_waits or data.samples(self._epoch_iterator, 1) is not None

    def waited(self) -> float | None:
        """How many seconds the call has waited for its batches."""
        return self._waited if self.times_waits else None

    def samples(self, batches: int) -> int | None:
        """The samples of the batches that the call has trained."""
        if self.times_waits:
            return self._samples
        return data.samples(self._epoch_iterator, batches)

    def _read(self, calls: Any) -> Iterator[tuple[int, int, Any]]:
        for first, last, batches in calls:
            self.trained, self._waited, self._samples = last + 1, 0.0, 0
            self._batches = batches
            yield first, last, self if self.times_waits else batches

    def __iter__(self) -> "Fetches":
        return self

    def __next__(self) -> Any:
        self._before()
        mark = None if self._spent is None else self._spent.mark()
        began = time.perf_counter()
        batch = next(self._batches)
        self._waited += time.perf_counter() - began
        if self._spent is not None and mark is not None:
            self._spent.add("data", mark)
        samples = data.samples_in(batch)
        if samples is None or self._samples is None:
            self._samples = None
        else:
            self._samples += samples
        return batch
