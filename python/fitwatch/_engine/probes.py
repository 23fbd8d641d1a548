"""Finds values inside the train step: the loss of the batch, and each metric's own value.

`logs` in Keras's batch hooks have means over the epoch so far. The values of a batch exist inside the
train step, which passes them to metrics: a probe sees what they are given.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

import keras

from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_run import StepRun
from fitwatch._keras import train_step

# The values found, by column; and why others were not found.
Found = tuple[dict[str, Any], list[str]]


class Probe:
    """Finds the values of some columns inside the train step.

    Probes that are equal find the same values: one of them is enough.
    """

    kind: ClassVar[Kind]
    # Further bits of the kind of its columns.
    flags: ClassVar[Kind] = Kind(0)
    _classes: ClassVar[dict[str, type["Probe"]]] = {}

    def __init_subclass__(cls) -> None:
        cls._classes[cls.__name__] = cls

    def around(self, model: Any, run: StepRun) -> AbstractContextManager[Callable[[], Found]]:
        """A block in which the step runs; the function that it yields is called in it afterwards."""
        raise NotImplementedError

    def to_json(self) -> list[Any]:
        """The probe as a JSON value, for `probe_of` in another process."""
        return [type(self).__name__, vars(self)]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).items()))


def probe_of(value: list[Any]) -> Probe:
    """A probe from the JSON value of `Probe.to_json`."""
    name, attributes = value
    probe = object.__new__(Probe._classes[name])
    vars(probe).update(attributes)
    return probe


class LossProbe(Probe):
    """The loss that the step passes to Keras's loss tracker, or to a metric named "loss"."""

    kind = Kind.LOSS

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Callable[[], Found]]:
        tracker = train_step.loss_tracker(model)
        given: list[tuple[Any, Any]] = []

        def update_state(original: Any, *args: Any, **kwargs: Any) -> Any:
            known = {**dict(zip(("values", "sample_weight"), args, strict=False)), **kwargs}
            given.append((known.get("values"), known.get("sample_weight")))
            return original(*args, **kwargs)

        own = [metric for metric in model.metrics if metric.name == "loss" and metric is not tracker]

        def found() -> Found:
            if len(given) == 1 and run.owns(given[0][0]) and not len(given[0][0].shape):
                loss, weight = given[0]
                loss = keras.ops.cast(loss, tracker.dtype)
                return {"loss": train_step.of_all_replicas(loss, weight)}, []
            for metric in own:
                values, reasons = states.results(metric)
                if "loss" in values or reasons:
                    return values, reasons
            return {}, ["its train_step does not hand one loss to Keras's loss tracker"]

        with ExitStack() as stack:
            if tracker is not None:
                stack.enter_context(run.calls(tracker, "update_state", update_state))
            states = stack.enter_context(_states(own, run))
            yield found


class MetricProbe(Probe):
    """The value that each metric has for the batch alone, under the names in the logs."""

    kind = Kind.METRIC

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Callable[[], Found]]:
        tracker = train_step.loss_tracker(model)
        metrics = [one for one in model.metrics if one is not tracker and one.name != "loss"]

        def found() -> Found:
            values: dict[str, Any] = {}
            reasons = []
            for metric in metrics:
                more, why = states.results(metric)
                values.update(more)
                reasons += why
            return values, reasons

        with _states(metrics, run) as states:
            yield found


class BatchStates:
    """The states that metrics would have if an epoch began with this batch."""

    def __init__(self, run: StepRun) -> None:
        self._run = run
        self._states: dict[int, list[Any]] = {}
        self._reasons: dict[int, str] = {}
        self._updating = False

    def handler(self, metric: Any) -> Callable[..., Any]:
        """The handler of a metric's `update_state`."""

        def update_state(original: Any, *args: Any, **kwargs: Any) -> Any:
            # `stateless_update_state` calls this method again.
            if not self._updating and id(metric) not in self._reasons:
                self._updating = True
                try:
                    self._update(metric, args, kwargs)
                finally:
                    self._updating = False
            return original(*args, **kwargs)

        return update_state

    def _update(self, metric: Any, args: Any, kwargs: Any) -> None:
        try:
            state = self._states.get(id(metric))
            if state is None:
                state = metric.stateless_reset_state()
            self._states[id(metric)] = metric.stateless_update_state(state, *args, **kwargs)
        except Exception as error:
            self._reasons[id(metric)] = f"{type(error).__name__}: {error}"

    def results(self, metric: Any) -> Found:
        """The values of a metric by name; none if it was not updated."""
        reason, state = self._reasons.get(id(metric)), self._states.get(id(metric))
        if reason is None and state is None:
            return {}, []
        if state is not None and not all(map(self._run.owns, state)):
            reason = "it is updated inside the gradient or a loop of the train step"
        if reason is None:
            try:
                result = metric.stateless_result(state)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                return result if isinstance(result, dict) else {metric.name: result}, []
        return {}, [f"{metric.name}: {reason}"]


@contextmanager
def _states(metrics: list[Any], run: StepRun) -> Iterator[BatchStates]:
    """A block in which the states of the batch are computed beside those of the epoch."""
    states = BatchStates(run)
    with ExitStack() as stack:
        for metric in metrics:
            stack.enter_context(run.calls(metric, "update_state", states.handler(metric)))
        yield states
