"""The private seams of how Keras's `fit()` reads its data, as `_keras` has all the others."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import keras

from fitwatch import _keras


class Source(NamedTuple):
    """Where the batches of a `fit()` come from."""

    kind: str
    """`"arrays"`, `"PyDataset"`, `"tf.data"`, or the name of Keras's adapter for anything else."""
    shuffle: Any
    """Whether Keras shuffles it: True, False, or `"batch"` for samples within batches."""
    data: Any
    """The dataset, where there is one."""
    batches: int | None
    """Batches of an epoch; None if that is not known."""
    runs_on: bool
    """Whether an epoch ends in the middle of the data, where the next one begins."""
    devices: int
    """Devices that share the batches."""


def epoch_iterator(model: Any) -> Any:
    """What gives the `fit()` of this model that is calling its batches; None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _keras.trainer_method(frame) == "fit" and frame.f_locals.get("self") is model:
            return frame.f_locals.get("epoch_iterator")
        frame = frame.f_back
    return None


def source(iterator: Any) -> Source:
    """Where its batches come from."""
    adapter = iterator.data_adapter
    kinds = {
        "ArrayDataAdapter": ("arrays", "_shuffle", ""),
        "PyDatasetAdapter": ("PyDataset", "shuffle", "py_dataset"),
        "TFDatasetAdapter": ("tf.data", "", "_dataset"),
    }
    name = type(adapter).__name__
    kind, shuffle, data = kinds.get(name, (name, "", ""))
    steps, batches = iterator.steps_per_epoch, adapter.num_batches
    strategy = getattr(iterator, "_distribute_strategy", None)
    return Source(
        kind,
        getattr(adapter, shuffle, False),
        getattr(adapter, data, None),
        iterator.num_batches,
        runs_on=steps is not None and steps != batches,
        devices=getattr(strategy, "num_replicas_in_sync", 1),
    )


def dataset(iterator: Any) -> Any:
    """The `tf.data` dataset that TensorFlow reads the batches from."""
    return iterator._distributed_dataset


def reroute(iterator: Any, reads: Callable[[Any], Any]) -> None:
    """Puts something between an epoch iterator and `fit()`.

    Args:
        iterator: An epoch iterator.
        reads: Called for each epoch with what enumerates it; enumerates it in its place. It gives
            the first and the last batch of each call of the train function, and an iterator of
            batches.
    """
    original = iterator._enumerate_iterator
    iterator._enumerate_iterator = lambda: reads(original())


def build_metrics(model: Any, iterator: Any) -> None:
    """Makes the variables of the metrics, which TensorFlow's trainer makes in its first step."""
    if keras.config.backend() != "tensorflow":
        return
    metrics = getattr(model, "_compile_metrics", None)
    if metrics is not None and not metrics.built:
        model._symbolic_build(data_batch=dataset(iterator).element_spec)
