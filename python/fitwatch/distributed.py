"""Training in several processes: who this one is, and how they come to one decision.

Nothing has to be told: with a distribution of `keras.distribution` that spans processes on JAX, or
torch.distributed at work on torch, the callbacks of fitwatch find it out by themselves. Rank 0
writes the files and prints; the others write nothing. Whether to stop, when to reduce the learning
rate, what was the best epoch and where to resume is the same on every rank.

Every process needs the same callbacks in the same order, as many epochs as the others, and on JAX
as many batches, or `fit()` raises a ValueError when it begins. Where a process has died, has left,
or does not come in time, it raises a `ProcessError` in the others: a RuntimeError that names it.

Example:
    >>> from fitwatch import distributed
    >>> distributed.rank(), distributed.world_size()
    (0, 1)
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import keras

from fitwatch import _check
from fitwatch._distributed.exchange import ProcessError
from fitwatch._distributed.stores import JaxStore, Store, TorchStore
from fitwatch._enable import settings

__all__ = ["ProcessError", "alone", "configure", "rank", "world_size"]


class World(NamedTuple):
    """The processes that train a model together."""

    rank: int
    """This one's number, from 0."""
    size: int
    """How many there are."""
    store: Store | None
    """Where they leave messages for each other; None if there is nobody to talk to."""
    averages: bool
    """Whether each has logs of its own data, so that values have to be averaged."""


_ALONE = World(0, 1, None, averages=False)


def rank() -> int:
    """The number of this process among those that train together.

    Returns:
        A number from 0 to `world_size() - 1`; 0 if it is alone, as it always is on TensorFlow.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.rank()
        0
    """
    return world().rank


def world_size() -> int:
    """How many processes train together.

    Returns:
        A number of 1 or more; 1 if this process is alone, as it always is on TensorFlow.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.world_size()
        1
    """
    return world().size


def configure(*, deadline: float | None = None, agree_every: int | None = None) -> None:
    """Sets how processes agree, for every `fit()` that begins later. All need the same settings.

    Args:
        deadline: Seconds (more than 0), or a `timedelta`, that a process waits for the others where
            they agree; then an error names those that have not come. One that is busy in its
            callbacks, or with its validation, is waited for ten times as long. 60 at first; None
            (default) leaves it as it is.
        agree_every: Batches (1 or more) between two agreements inside an epoch, where any process
            has a callback that counts in batches or may stop there. A decision comes so many
            batches late at most. 100 at first; None (default) leaves it as it is.

    Raises:
        ValueError: An argument has a value that is not allowed.
        TypeError: An argument has the wrong type.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.configure(deadline=60, agree_every=100)  # as it is at first
    """
    seconds = _check.seconds("deadline", deadline)
    if seconds is None:
        seconds = settings.deadline
    elif seconds > 366 * 86400:  # no clock of the system's takes just any number
        raise ValueError(f"deadline must be a year at most; got {deadline!r}.")
    if agree_every is not None:
        settings.agree_every = _check.count("agree_every", agree_every, minimum=1)
    settings.deadline = seconds


def world(model: Any = None) -> World:
    """The processes that train together.

    Args:
        model: The model, which knows about it on TensorFlow.
    """
    backend = keras.config.backend()
    if settings.alone:
        return _ALONE
    if backend == "jax":
        return _jax_world()
    if backend == "torch":
        return _torch_world()
    return _tensorflow_world(model) if backend == "tensorflow" else _ALONE


@contextmanager
def alone() -> Iterator[None]:
    """A block in which this process trains for itself: a model of its own, that nobody shares.

    For a `fit()` that not all processes run, or one model for each of them, as in a search. It
    writes its own files.

    Returns:
        A context manager, which gives None.

    Example:
        >>> from fitwatch import distributed
        >>> with distributed.alone():
        ...     distributed.world_size()
        1
    """
    before, settings.alone = settings.alone, True
    try:
        yield
    finally:
        settings.alone = before


def is_writer(model: Any = None) -> bool:
    """Whether this process writes the files: the only one, or rank 0."""
    return world(model).rank == 0


def _jax_world() -> World:
    # Without a distribution that spans them, each process trains a model of its own.
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
    """The processes that a distribution of Keras has devices of."""
    devices = distribution.device_mesh.backend_mesh.devices.flat
    return sorted({device.process_index for device in devices})


def _torch_world() -> World:
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return _ALONE
    size = distributed.get_world_size()
    return World(distributed.get_rank(), size, TorchStore(), averages=True) if size > 1 else _ALONE


def _tensorflow_world(model: Any) -> World:
    # Keras does not train there. In a loop of somebody's own there is one writer, at least.
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
