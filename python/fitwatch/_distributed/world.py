"""The processes that train a model together, and which of them this one is."""

import sys
from functools import lru_cache
from typing import Any, NamedTuple

import keras

from fitwatch._enable import settings
from fitwatch._keras import output
from fitwatch._keras.process_stores import JaxStore, TorchStore


class World(NamedTuple):
    """The processes that train a model together."""

    rank: int
    """The number of this process, from 0."""
    size: int
    """The number of processes."""
    store: JaxStore | TorchStore | None
    """Where they exchange messages; None if they do not."""
    averages: bool
    """Whether each process logs values of its own data, which have to be averaged."""


_ALONE = World(0, 1, None, averages=False)


def world(model: Any = None) -> World:
    """The processes that train together.

    Args:
        model: The model, whose strategy tells on TensorFlow.
    """
    backend = keras.config.backend()
    if settings.alone:
        return _ALONE
    if backend == "jax":
        return _jax_world()
    if backend == "torch":
        return _torch_world()
    return _tensorflow_world(model) if backend == "tensorflow" else _ALONE


def is_writer(model: Any = None) -> bool:
    """Whether this process writes the files: the only one, or rank 0."""
    return world(model).rank == 0


def print_message(message: str, line_break: bool = True) -> None:
    """Prints as Keras's own callbacks do, on rank 0 only."""
    if is_writer():
        output.print_message(message, line_break=line_break)


def _jax_world() -> World:
    # Unless a distribution spans the processes, each trains its own model.
    distribution = keras.distribution.distribution()
    if distribution is None:
        return _ALONE
    import jax

    members = _members(distribution)
    if len(members) == 1 or jax.process_index() not in members:
        return _ALONE
    return World(members.index(jax.process_index()), len(members), JaxStore(), averages=False)


@lru_cache(maxsize=4)
def _members(distribution: Any) -> list[int]:
    """The processes whose devices a Keras distribution uses."""
    devices = distribution.device_mesh.backend_mesh.devices.flat
    return sorted({device.process_index for device in devices})


def _torch_world() -> World:
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return _ALONE
    size = distributed.get_world_size()
    return World(distributed.get_rank(), size, TorchStore(), averages=True) if size > 1 else _ALONE


def _tensorflow_world(model: Any) -> World:
    # Keras does not train under this strategy. A custom loop gets one writer, at least.
    strategy = getattr(model, "distribute_strategy", None)
    tf = sys.modules.get("tensorflow")
    if tf is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return _ALONE
    resolver = strategy.cluster_resolver
    if resolver.task_type not in ("chief", "worker"):
        return _ALONE
    cluster = resolver.cluster_spec().as_dict()
    chiefs, workers = len(cluster.get("chief", ())), len(cluster.get("worker", ()))
    number = resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
    return World(number, chiefs + workers, None, averages=True)
