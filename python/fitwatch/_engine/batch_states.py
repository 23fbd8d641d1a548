"""The value that a metric has for one batch, found while the train step updates it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from fitwatch._engine.step_run import StepRun
from fitwatch._keras import train_step

# The values found, by column; and why others were not found.
Found = tuple[dict[str, Any], list[str]]


class BatchStates:
    """The states that metrics would have if an epoch began with this batch.

    Each update of a metric also goes through Keras's stateless methods, from the state that a reset
    leaves.
    """

    def __init__(self, run: StepRun) -> None:
        self._run = run
        self._states: dict[int, list[Any]] = {}
        self._reasons: dict[int, str] = {}
        # The results that the step has asked for: it logs them under names of its own.
        self._results: dict[int, list[Any]] = {}
        self._is_busy = False

    def on_update(self, metric: Any) -> Callable[..., Any]:
        """The handler of a metric's `update_state`."""

        def update_state(original: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._is_busy and id(metric) not in self._reasons:
                self._alone(self._update, metric, args, kwargs)
            return original(*args, **kwargs)

        return update_state

    def on_result(self, metric: Any) -> Callable[..., Any]:
        """The handler of a metric's `result`."""

        def result(original: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(*args, **kwargs)
            if not self._is_busy:
                self._results.setdefault(id(metric), []).append(found)
            return found

        return result

    def _alone(self, action: Callable[..., Any], metric: Any, *args: Any) -> Any:
        """Calls a stateless method, which itself calls methods that are replaced."""
        self._is_busy = True
        try:
            return action(metric, *args)
        except Exception as error:
            self._reasons[id(metric)] = f"{type(error).__name__}: {error}"
            return None
        finally:
            self._is_busy = False

    def _update(self, metric: Any, args: Any, kwargs: Any) -> None:
        state = self._states.get(id(metric))
        if state is None:
            state = metric.stateless_reset_state()
        self._states[id(metric)] = metric.stateless_update_state(state, *args, **kwargs)

    def is_loss(self, metric: Any, logs: dict[str, Any]) -> bool:
        """Whether the step logs a metric as the loss."""
        return "loss" in self._names(metric, logs)

    def find(self, metrics: list[Any], logs: dict[str, Any]) -> Found:
        """The values of metrics, by their names in the logs."""
        values: dict[str, Any] = {}
        for metric in metrics:
            if id(metric) in self._states:
                values.update(self._find(metric, logs))
        found = [metric for metric in metrics if id(metric) in self._reasons]
        return values, [f"{metric.name}: {self._reasons[id(metric)]}" for metric in found]

    def _find(self, metric: Any, logs: dict[str, Any]) -> dict[str, Any]:
        state = self._states[id(metric)]
        if train_step.replicas() > 1:
            self._reasons[id(metric)] = "several devices of a TensorFlow strategy update it"
        elif not all(map(self._run.owns, state)):
            why = "it is updated inside the gradient or a loop of the train step"
            self._reasons[id(metric)] = why
        if id(metric) in self._reasons:
            return {}
        state = train_step.unknown_to_compiler(state)
        result = self._alone(lambda metric: metric.stateless_result(state), metric)
        if result is None:
            return {}
        if not isinstance(result, dict):
            result = dict.fromkeys(self._names(metric, logs), result)
        # A result with dimensions, such as one for each class, is not a column.
        return {name: value for name, value in result.items() if not len(value.shape)}

    def _names(self, metric: Any, logs: dict[str, Any]) -> list[str]:
        results = self._results.get(id(metric), ())
        names = [name for name, value in logs.items() if any(value is one for one in results)]
        return names or [metric.name]


@contextmanager
def batch_states(metrics: list[Any], run: StepRun) -> Iterator[BatchStates]:
    """A block in which the states of the batch are computed beside those of the epoch."""
    states = BatchStates(run)
    with ExitStack() as stack:
        for metric in metrics:
            stack.enter_context(run.calls(metric, "update_state", states.on_update(metric)))
            stack.enter_context(run.calls(metric, "result", states.on_result(metric)))
        yield states
