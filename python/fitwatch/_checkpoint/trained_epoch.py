"""The end of an epoch all of whose batches were trained before the program ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fitwatch._checkpoint.state_values import from_json, to_json
from fitwatch._engine.logs import flatten
from fitwatch._keras import backend, frames
from fitwatch._keras.train_step import replaced


def take(model: Any) -> dict[str, Any]:
    """The state of an epoch whose batches are trained and that is being validated, as JSON."""
    logs = flatten(frames.epoch_logs_of_fit(model))
    numbers = {name: backend.to_number(value) for name, value in logs.items()}
    return {
        "logs": {name: to_json(n) for name, n in numbers.items() if isinstance(n, (int, float))},
        "stops": bool(model.stop_training),
    }


@contextmanager
def idle_step(callback_list: Any, model: Any, state: dict[str, Any]) -> Iterator[None]:
    """A block in which a step of `fit()` trains nothing and calls no hook.

    After it, Keras validates and ends the epoch as it would have: it gets the logs from the step,
    or from the metrics, if those have the same names.
    """

    def train(*args: Any) -> Any:
        model.stop_training = state["stops"]
        logs = {name: from_json(value) for name, value in state["logs"].items()}
        return (logs, args[0]) if len(args) == 2 else logs  # JAX's has the training state

    def hook(batch: Any, logs: Any = None) -> None:
        pass

    with (
        replaced(model, train_function=train),
        replaced(callback_list, on_train_batch_begin=hook, on_train_batch_end=hook),
    ):
        yield
