"""Operations of callbacks that differ where several processes train together."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from fitwatch._distributed.coordinator import Coordinator, coordinator_of_list
from fitwatch._engine.spending import spending
from fitwatch._keras import trainer


def coordinator_of(callback: Any) -> Coordinator | None:
    """The coordinator of a callback's training; None where one process trains alone."""
    callback_list = callback._fitwatch.callback_list
    return None if callback_list is None else coordinator_of_list(callback_list)


def averaged_logs(callback: Any, logs: Any) -> Any:
    """The logs of an epoch, with values that are local to a process averaged."""
    coordinator = coordinator_of(callback)
    return logs if coordinator is None else coordinator.averaged_epoch_logs(callback, logs or {})


def stop_training(callback: Any, reason: str) -> None:
    """Stops the training; inside an epoch, once all processes have agreed."""
    callback._fitwatch.announce("stop", f"{type(callback).__name__}: {reason}")
    coordinator = coordinator_of(callback)
    if coordinator is None:
        trainer.model_of(callback).stop_training = True
    else:
        coordinator.stop()


def broadcast(callback: Any, topic: str, value: Any) -> Any:
    """The value of rank 0, if all processes have the callback; alone, the value unchanged."""
    coordinator = coordinator_of(callback)
    if coordinator is None or not coordinator.shares(callback):
        return value
    # JSON knows no NumPy scalars.
    own = float(value) if isinstance(value, np.floating) else value
    return coordinator.gather(topic, own)[0]


@contextmanager
def saving(callback: Any) -> Iterator[None]:
    """A block in which only this process saves the model; the others wait beyond the deadline."""
    coordinator = coordinator_of(callback)
    busy = nullcontext() if coordinator is None else coordinator.busy()
    with _undistributed(), busy, spending(callback, "saving"):
        yield


@contextmanager
def _undistributed() -> Iterator[None]:
    """A block in which Keras creates arrays only on the devices of this process.

    A process that saves alone would otherwise wait for the others.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextmanager
def quietly(callback: Any) -> Iterator[None]:
    """A block in which Keras's code prints nothing, unless this process is rank 0."""
    if not callback._fitwatch.is_silent:
        yield
        return
    verbose = callback.verbose
    callback.verbose = 0
    try:
        yield
    finally:
        callback.verbose = verbose
