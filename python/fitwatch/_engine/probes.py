"""Finds values inside the train step: the loss of the batch, and each metric's own value.

`logs` in Keras's batch hooks have means over the epoch so far. The values of a batch exist inside
the train step, which passes them to metrics: a probe sees what they are given.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

import keras

from fitwatch._engine.batch_states import Found, batch_states
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_run import StepRun
from fitwatch._keras import train_step

Find = Callable[[dict[str, Any]], Found]


class Probe:
    """Finds the values of some columns inside the train step.

    Probes that are equal find the same values: one of them is enough.
    """

    kind: ClassVar[Kind]
    _classes: ClassVar[dict[str, type["Probe"]]] = {}

    def __init_subclass__(cls) -> None:
        cls._classes[cls.__name__] = cls

    def around(self, model: Any, run: StepRun) -> AbstractContextManager[Find]:
        """A block in which the step runs.

        The function that it yields is called in it after the step, with the logs.
        """
        raise NotImplementedError

    def flags(self, name: str) -> Kind:
        """Further bits of the kind of a column."""
        return Kind(0)

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
    """The loss that the step passes to Keras's loss tracker, or to the metric logged as loss."""

    kind = Kind.LOSS

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Find]:
        tracker = train_step.loss_tracker(model)
        given: list[tuple[Any, Any]] = []

        def update_state(original: Any, *args: Any, **kwargs: Any) -> Any:
            known = {**dict(zip(("values", "sample_weight"), args, strict=False)), **kwargs}
            given.append((known.get("values"), known.get("sample_weight")))
            return original(*args, **kwargs)

        # A step of the user's may log another metric as the loss, as that of a VAE does.
        own_step = not train_step.is_of_keras(model)
        others = [one for one in model.metrics if own_step and one is not tracker]

        def find(logs: dict[str, Any]) -> Found:
            if len(given) == 1 and run.owns(given[0][0]) and not len(given[0][0].shape):
                loss, weight = given[0]
                loss = keras.ops.cast(loss, tracker.dtype)
                return {"loss": train_step.of_all_replicas(loss, weight)}, []
            if not given:
                losses = [one for one in others if states.is_loss(one, logs)]
                values, reasons = states.find(losses, logs)
                if "loss" in values or reasons:
                    return values, reasons
            return {}, ["its train_step does not hand one loss to Keras's loss tracker"]

        with ExitStack() as stack:
            if tracker is not None:
                stack.enter_context(run.calls(tracker, "update_state", update_state))
            states = stack.enter_context(batch_states(others, run))
            yield find


class MetricProbe(Probe):
    """The value that each metric has for the batch alone, under the names in the logs."""

    kind = Kind.METRIC

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Find]:
        tracker = train_step.loss_tracker(model)
        metrics = [metric for metric in model.metrics if metric is not tracker]

        def find(logs: dict[str, Any]) -> Found:
            return states.find([one for one in metrics if not states.is_loss(one, logs)], logs)

        with batch_states(metrics, run) as states:
            yield find
