"""The order in which a `fit()` reads its data, saved and restored."""

import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from fitwatch._checkpoint.resumable_data import Resumable
from fitwatch._checkpoint.training_state import set_torch_state, torch_state
from fitwatch._keras import data
from fitwatch._keras.frames import fit_of


class DataOrder:
    """Follows the batches of one `fit()`, or resumes at the batch where another was interrupted.

    Keras shuffles by the random states of NumPy, Python and torch, which are saved as they were
    when the epoch began; on TensorFlow by a `tf.data` pipeline, whose iterator itself is saved.
    With a saved iterator, trained batches are skipped without reading; otherwise they are read and
    dropped.

    Args:
        model: A model whose `fit()` is running.

    Raises:
        ValueError: The order cannot be restored.
    """

    # Whether batches of an epoch are being read; False once all are trained.
    is_inside = False

    def __init__(self, model: Any) -> None:
        fit = fit_of(model)
        if fit is None or fit.epoch_iterator is None:
            raise ValueError("BackupAndRestore(exact=True) is for fit(); in a loop, leave it out.")
        iterator = fit.epoch_iterator
        source = data.source(iterator)
        on_tensorflow = keras.config.backend() == "tensorflow"
        self._data = source.data if isinstance(source.data, Resumable) else None
        self._keeps_iterator = on_tensorflow and (
            source.kind == "tf.data" or (source.kind == "arrays" and source.shuffle)
        )
        known = source.kind == "arrays" or self._data is not None or self._keeps_iterator
        if not known:
            raise _refused(f"they come from {source.data or source.kind!r}")
        if on_tensorflow and source.shuffle == "batch":
            raise _refused("TensorFlow does not save the states of shuffle='batch'")
        if source.runs_on:
            raise _refused("steps_per_epoch is not the number of batches that the data has")
        if source.devices > 1:
            raise _refused(f"{source.devices} devices share them")
        self.batches = source.batches
        self._fingerprint: dict[str, Any] = {
            **source.fingerprint,
            "batches": source.batches,
            "resumable": None if self._data is None else self._data.fingerprint,
            "keeps_iterator": self._keeps_iterator,
        }
        self._epoch_iterator = iterator
        # The iterator that batches are read from.
        self._reading: Any = None
        # Batches at the beginning of this epoch to skip, and the random state to set after them.
        self._skip = 0
        self._then: dict[str, Any] | None = None
        # A step without training, after those that are skipped; whether the epoch ends with it.
        self._idle: AbstractContextManager[None] | None = None
        self._idle_is_last = False
        self._kept: list[Any] = []
        self._begun_at: dict[str, Any] = {}
        if self._keeps_iterator:
            self._try_to_keep()

    def follow(self) -> None:
        """Reads the data for `fit()` from now on."""
        data.reroute(self._epoch_iterator, self._read)

    def begin_epoch(self, epoch: int) -> None:
        """Called before every epoch."""
        if self._data is not None:
            self._data.set_epoch(epoch)
        self._begun_at = random_state()

    def take(self, arrays: list[Any]) -> dict[str, Any]:
        """The position in the data, as JSON; arrays are added to `arrays`."""
        state: dict[str, Any] = {
            "data": self._fingerprint,
            "epoch": self._begun_at,
            "now": random_state(),
            "iterator": None,
        }
        if self._keeps_iterator and self._reading is not None:
            kept = _save_iterator(self._reading)
            state["iterator"] = [len(arrays), len(kept)]
            arrays.extend(kept)
        return state

    def check(self, state: dict[str, Any], arrays: list[Any], trained: int, at_a_time: int) -> None:
        """Checks that the position of an interrupted fit exists in these data.

        `trained` batches of the epoch were trained, `at_a_time` in one call of the train function.
        """
        for name, value in self._fingerprint.items():
            if state["data"].get(name) != value:
                raise ValueError(
                    "BackupAndRestore(exact=True): the backup was made by a fit() with other data, "
                    "another order of the data, or another backend: "
                    f"{name.replace('_', ' ')} was {state['data'].get(name)!r}, and is {value!r}."
                )
        if state["iterator"] is not None:
            self._kept = self._tried(state, arrays)
        if trained % at_a_time and trained != self.batches:
            raise ValueError(
                f"BackupAndRestore(exact=True): the backup was made after {trained} batches of an "
                f"epoch, which is not a multiple of steps_per_execution={at_a_time}."
            )

    def _tried(self, state: dict[str, Any], arrays: list[Any]) -> list[Any]:
        """The state of the iterator, after loading it once to check that it fits these data."""
        start, count = state["iterator"]
        kept = arrays[start : start + count]
        try:
            _load_iterator(iter(data.dataset(self._epoch_iterator)), kept)
        except Exception as error:
            raise ValueError(
                "BackupAndRestore(exact=True): the backup was made by a fit() with other data: "
                f"TensorFlow cannot find the position in these ({type(error).__name__})."
            ) from error
        return kept

    def go_on(
        self,
        state: dict[str, Any],
        epoch: int,
        trained: int,
        idle: AbstractContextManager[None] | None,
        *,
        is_last: bool,
    ) -> None:
        """Resumes at the position of another fit; replaces `begin_epoch` for the first epoch.

        If the fit was ended in a validation, `idle` is a block in which a step trains nothing: the
        last one of the epoch, if `is_last`.
        """
        self._idle, self._idle_is_last = idle, is_last
        if self._kept and not trained:
            # An exhausted iterator, whose state counts how often the data were shuffled.
            _load_iterator(iter(data.dataset(self._epoch_iterator)), self._kept)
        self._skip, self._then = trained, state["now"] if trained else None
        set_random_state(state["epoch"] if trained else state["now"])
        self.begin_epoch(epoch)

    def build_metrics(self, model: Any) -> None:
        """Creates the variables of the metrics, so that they can be set before the first step."""
        data.build_metrics(model, self._epoch_iterator)

    def _read(self, steps: Any) -> Iterator[tuple[int, int, Any]]:
        self.is_inside = True
        try:
            yield from self._unskipped(steps)
        finally:
            self.is_inside = False

    def _unskipped(self, steps: Any) -> Iterator[tuple[int, int, Any]]:
        trained = skip = self._skip
        idle, self._skip, self._idle = self._idle, 0, None
        for first, last, iterator in steps:
            self._reading = iterator
            if first < skip:
                if not self._keeps_iterator:
                    for number in range(first, min(last + 1, skip)):
                        if next(iterator, None) is None:
                            raise ValueError(
                                f"the data have {number} batches, but {trained} were trained."
                            )
                continue
            if idle is not None and self._idle_is_last:
                break
            self._find_place(iterator)
            if idle is not None:
                with idle:
                    yield trained - 1, trained - 1, itertools.repeat(None)
                idle = None
            yield first, last, iterator
        if idle is not None:
            self._find_place(self._reading)
            self.is_inside = False
            with idle:
                yield trained - 1, trained - 1, itertools.repeat(None)

    def _find_place(self, iterator: Any) -> None:
        """Sets the position and the random states, after the trained batches were skipped."""
        if self._then is not None:
            if self._keeps_iterator and self._kept:
                _load_iterator(iterator, self._kept)
            set_random_state(self._then)
            self._then = None

    def _try_to_keep(self) -> None:
        try:
            _save_iterator(iter(data.dataset(self._epoch_iterator)))
        except Exception as error:
            reason = str(error).strip().splitlines()
            raise _refused(
                "TensorFlow cannot save its position in the dataset "
                f"({reason[-1] if reason else ''})"
            ) from error


def _refused(why: str) -> ValueError:
    return ValueError(
        "BackupAndRestore(exact=True): the order of the batches cannot be restored: "
        f"{why}. Give fit() arrays, or fitwatch.resumable(...) of arrays or of a PyDataset, or on "
        "TensorFlow a tf.data pipeline without Python code; or leave exact out, to train an "
        "interrupted epoch from its beginning."
    )


def random_state() -> dict[str, Any]:
    """The random states of NumPy, Python and torch, as JSON."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "python": random.getstate(),
    }
    of_torch = torch_state()
    return state if of_torch is None else {**state, "torch": of_torch}


def set_random_state(state: dict[str, Any]) -> None:
    """Sets the result of `random_state`."""
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    set_torch_state(state.get("torch"))


def _save_iterator(iterator: Any) -> list[Any]:
    """The state of a TensorFlow iterator: the bytes of the two files of its checkpoint."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "iterator")
        tf.train.Checkpoint(iterator=iterator).write(prefix)
        return [np.fromfile(f"{prefix}{end}", np.uint8) for end in _ENDS]


def _load_iterator(iterator: Any, kept: list[Any]) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "iterator")
        for end, content in zip(_ENDS, kept, strict=True):
            content.tofile(f"{prefix}{end}")
        tf.train.Checkpoint(iterator=iterator).read(prefix).assert_consumed()


_ENDS = (".index", ".data-00000-of-00001")
