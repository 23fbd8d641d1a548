"""Training in several processes: the rank of this one, and common decisions of all.

No setup is needed: fitwatch's callbacks detect a distribution of `keras.distribution` that spans
processes on JAX, and an initialized torch.distributed on torch. Rank 0 writes the files and prints;
the others write nothing. Decisions are the same on every rank: when to stop, when to reduce the
learning rate, which epoch was the best, where to resume.

Every process needs the same callbacks in the same order, the same number of epochs, and on JAX of
batches; otherwise `fit()` raises a ValueError when it begins. If a process dies, leaves, or misses
the deadline, `fit()` raises a `ProcessError` in the others: a RuntimeError that names the process.

Example:
    >>> from fitwatch import distributed
    >>> distributed.rank(), distributed.world_size()
    (0, 1)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras as _keras  # noqa: F401  # first: `enable()` may wait for it

from fitwatch import _check
from fitwatch._distributed.exchange import ProcessError
from fitwatch._distributed.world import world
from fitwatch._enable import settings

__all__ = ["ProcessError", "alone", "configure", "rank", "world_size"]


def rank() -> int:
    """The number of this process among those that train together.

    Returns:
        A number from 0 to `world_size() - 1`; 0 if this process is alone, as always on TensorFlow.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.rank()
        0
    """
    return world().rank


def world_size() -> int:
    """The number of processes that train together.

    Returns:
        A number of 1 or more; 1 if this process is alone, as always on TensorFlow.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.world_size()
        1
    """
    return world().size


def configure(*, deadline: float | None = None, agree_every: int | None = None) -> None:
    """Sets how processes agree, for every later `fit()`. All processes need the same settings.

    Args:
        deadline: Seconds (more than 0), or a `timedelta`, that a process waits for the others to
            agree; then an error names those that have not come. It waits ten times as long for a
            process that is busy in its callbacks or its validation. Initially 60; None (default)
            does not change it.
        agree_every: Batches (1 or more) between two agreements inside an epoch, where any process
            has a callback that counts in batches or may stop there. A decision is late by that many
            batches at most. Initially 100; None (default) does not change it.

    Raises:
        ValueError: An argument has a value that is not allowed.
        TypeError: An argument has the wrong type.

    Example:
        >>> from fitwatch import distributed
        >>> distributed.configure(deadline=60, agree_every=100)  # the initial values
    """
    seconds = _check.seconds("deadline", deadline)
    if seconds is None:
        seconds = settings.deadline
    elif seconds > 366 * 86400:  # the system's clocks have a limit
        raise ValueError(f"deadline must be a year at most; got {deadline!r}.")
    if agree_every is not None:
        settings.agree_every = _check.count("agree_every", agree_every, minimum=1)
    settings.deadline = seconds


@contextmanager
def alone() -> Iterator[None]:
    """A block in which this process trains alone, with a model that it does not share.

    For a `fit()` that not all processes run, or for a separate model in each process, as in a
    hyperparameter search. The process writes its own files.

    Returns:
        A context manager whose value is None.

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
