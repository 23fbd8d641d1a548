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

from collections.abc import Iterator
from contextlib import contextmanager

from fitwatch import _check
from fitwatch._distributed.exchange import ProcessError
from fitwatch._distributed.world import world
from fitwatch._enable import settings

__all__ = ["ProcessError", "alone", "configure", "rank", "world_size"]


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
