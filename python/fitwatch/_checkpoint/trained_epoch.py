"""A run that was ended in a validation: it goes on there, before another batch is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fitwatch._checkpoint.state_values import from_json, to_json
from fitwatch._engine.after_batch import AfterBatch
from fitwatch._engine.attachment import attachment_of
from fitwatch._engine.logs import flatten
from fitwatch._keras import backend, frames
from fitwatch._keras.train_step import replaced


def take(model: Any, *, is_inside: bool) -> dict[str, Any]:
    """The state of a `fit()` that is in a validation, as JSON.

    Args:
        model: The model.
        is_inside: Whether it is one inside the epoch, not `fit()`'s own after it.
    """
    logs = flatten(frames.last_logs_of_fit(model, of_epoch=not is_inside))
    numbers = {name: backend.to_number(value) for name, value in logs.items()}
    return {
        "logs": {name: to_json(n) for name, n in numbers.items() if isinstance(n, (int, float))},
        "stops": bool(model.stop_training),
        "is_inside": is_inside,
    }


@contextmanager
def idle_step(callback_list: Any, model: Any, state: dict[str, Any]) -> Iterator[None]:
    """A block in which a step of `fit()` trains nothing and calls no hook.

    After it, Keras validates and ends the epoch as it would have: it gets the logs from the step,
    or from the metrics, if those have the same names. Inside an epoch, the actions after the last
    trained batch follow instead that were not done.
    """
    logs = {name: from_json(value) for name, value in state["logs"].items()}

    def train(*args: Any) -> Any:
        model.stop_training = state["stops"]
        return (logs, args[0]) if len(args) == 2 else logs  # JAX's has the training state

    def begin(batch: Any, logs: Any = None) -> None:
        pass

    def end(batch: Any, logs: Any = None) -> None:
        if not state["is_inside"]:
            return
        at_a_time = int(model.steps_per_execution)
        for callback in list(callback_list.callbacks):
            own: Any = attachment_of(callback)
            if isinstance(own, AfterBatch):
                own.act_again(callback, batch, batch % at_a_time + 1, dict(logs or {}))

    with (
        replaced(model, train_function=train),
        replaced(callback_list, on_train_batch_begin=begin, on_train_batch_end=end),
    ):
        yield
