"""Keras's epoch iterators and data adapters, through which `fit()` reads its data."""

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
    """Whether Keras shuffles the data: True, False, or `"batch"` to shuffle within batches."""
    data: Any
    """The dataset, if there is one."""
    batches: int | None
    """The number of batches in an epoch; None if it is not known."""
    runs_on: bool
    """Whether an epoch ends inside the data, where the next one begins."""
    devices: int
    """The number of devices that share the batches."""
    fingerprint: dict[str, Any]
    """Identifies the data, as JSON: sizes, and a checksum of some samples."""


def source(iterator: Any) -> Source:
    """The source of an epoch iterator's batches."""
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


def has_arrays(iterator: Any) -> bool:
    """Whether the batches are those of arrays."""
    return type(iterator.data_adapter).__name__ == "ArrayDataAdapter"


def is_read_in_turn(iterator: Any) -> bool:
    """Whether the thread that trains reads the data, so that no other one reads ahead."""
    name = type(iterator.data_adapter).__name__
    return has_arrays(iterator) or name == "TorchDataLoaderAdapter"


def checksum(arrays: Any) -> int:
    """A checksum of the first and the last sample of arrays, if they can be read."""
    total = 0
    for array in keras.tree.flatten(arrays):
        try:
            for rows in (array[:1], array[-1:]):
                total = zlib.crc32(np.asarray(rows).tobytes(), total)
        except Exception:  # Keras can read them nevertheless
            continue
    return total


def dataset(iterator: Any) -> Any:
    """The `tf.data` dataset that TensorFlow reads the batches from."""
    return iterator._distributed_dataset


def reroute(iterator: Any, reads: Callable[[Any], Any]) -> None:
    """Inserts a generator between an epoch iterator and `fit()`.

    Args:
        iterator: An epoch iterator.
        reads: Called for each epoch with Keras's enumeration of it; returns another one. Its items
            are the first and the last batch of a call of the train function, and an iterator of
            batches.
    """
    original = iterator._enumerate_iterator
    iterator._enumerate_iterator = lambda: reads(original())


def samples(iterator: Any, batches: int) -> int | None:
    """The samples of the last batches that `fit()` has fetched; None if Keras does not know.

    Known for arrays, and for a `tf.data` dataset whose batches all have the same size.
    """
    adapter = iterator.data_adapter
    try:
        size, last = adapter.batch_size, adapter.partial_batch_size
    except Exception:  # an adapter of the user's may not tell
        return None
    if size is None:
        return None
    is_last = adapter.num_batches is not None and iterator._steps_seen >= adapter.num_batches
    return int(size) * batches - (int(size - last) if is_last and last else 0)


def samples_in(batch: Any) -> int | None:
    """The samples of a batch, `x` or `(x, y)` or `(x, y, sample_weight)`; None if not known."""
    while isinstance(batch, (tuple, list, dict)) and batch:
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    shape: Any = getattr(batch, "shape", ())
    return int(shape[0]) if len(shape) else None


def build_model(model: Any, iterator: Any) -> None:
    """Builds a model without an Input by the shapes of its data, as JAX's and torch's `fit()` do.

    Raises:
        Exception: Keras cannot build it.
    """
    if keras.config.backend() == "tensorflow" and not model.built:
        model._symbolic_build(data_batch=dataset(iterator).element_spec)


def build_metrics(model: Any, iterator: Any) -> None:
    """Creates the variables of the metrics, as TensorFlow's trainer does in its first step."""
    if keras.config.backend() != "tensorflow":
        return
    parts = [getattr(model, name, None) for name in ("_compile_metrics", "_compile_loss")]
    if any(part is not None and not part.built for part in parts):
        model._symbolic_build(data_batch=dataset(iterator).element_spec)
