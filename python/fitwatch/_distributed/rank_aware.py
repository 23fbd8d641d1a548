"""What callbacks do where several processes train together; each function takes the callback."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from fitwatch._distributed.coordinator import Coordinator, coordinator_of_list
from fitwatch._keras import distribution, trainer


def coordinator_of(callback: Any) -> Coordinator | None:
    """How the processes of this training agree; None if it is one."""
    callback_list = callback._fitwatch.callback_list
    return None if callback_list is None else coordinator_of_list(callback_list)


def averaged_logs(callback: Any, logs: Any) -> Any:
    """The logs of an epoch, with averages where each process has values of its own."""
    coordinator = coordinator_of(callback)
    return logs if coordinator is None else coordinator.averaged_epoch_logs(callback, logs or {})


def stop_training(callback: Any) -> None:
    """Ends the training; inside an epoch, when all processes have agreed on it."""
    coordinator = coordinator_of(callback)
    if coordinator is None:
        trainer.model_of(callback).stop_training = True
    else:
        coordinator.stop()


@contextmanager
def saving(callback: Any) -> Iterator[None]:
    """While this process saves the model by itself: the others wait for it, and it for none."""
    coordinator = coordinator_of(callback)
    with distribution.undistributed(), nullcontext() if coordinator is None else coordinator.busy():
        yield


@contextmanager
def quietly(callback: Any) -> Iterator[None]:
    """Keeps Keras's own code from printing where rank 0 does."""
    if not callback._fitwatch.is_silent:
        yield
        return
    verbose = callback.verbose
    callback.verbose = 0
    try:
        yield
    finally:
        callback.verbose = verbose
