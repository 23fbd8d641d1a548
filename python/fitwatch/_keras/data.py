"""How Keras's `fit()` reads its data: by epoch iterators and data adapters."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np


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
    fingerprint: dict[str, Any]
    """What tells these data from others, for JSON: sizes, and a checksum of some samples."""


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
        fingerprint={
            "kind": kind,
            "shuffle": getattr(adapter, shuffle, False),
            "batch_size": adapter.batch_size,
            "samples": getattr(adapter, "_num_samples", None),
            "sample": checksum(getattr(adapter, "_inputs", None)),
        },
    )


def checksum(arrays: Any) -> int:
    """A checksum of the first and the last sample of arrays, as far as they can be read."""
    total = 0
    for array in keras.tree.flatten(arrays):
        try:
            for rows in (array[:1], array[-1:]):
                total = zlib.crc32(np.asarray(rows).tobytes(), total)
        except Exception:  # whatever they are, Keras can read them
            continue
    return total


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
    parts = [getattr(model, name, None) for name in ("_compile_metrics", "_compile_loss")]
    if any(part is not None and not part.built for part in parts):
        model._symbolic_build(data_batch=dataset(iterator).element_spec)
