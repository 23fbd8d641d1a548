"""One run of the train step, inside which probes find values."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras

from fitwatch._engine.interceptions import Interceptions
from fitwatch._keras import train_step


class StepRun:
    """One run of the train step: of a batch, or of the compiler's trace.

    Args:
        interceptions: The methods that are replaced at the moment.
        args: The arguments of the step.
    """

    def __init__(self, interceptions: Interceptions, args: tuple[Any, ...]) -> None:
        self._interceptions = interceptions
        self._args = args

    def calls(
        self, instance: Any, name: str, handler: Callable[..., Any]
    ) -> AbstractContextManager[None]:
        """A block in which calls of a method go to `handler(method, *args, **kwargs)`."""
        return self._interceptions.calls(instance, name, handler)

    def owns(self, value: Any) -> bool:
        """Whether a tensor is of the step itself; one of a computation in it cannot leave it."""
        return bool(keras.ops.is_tensor(value)) and train_step.is_of_step(value, self._args)
