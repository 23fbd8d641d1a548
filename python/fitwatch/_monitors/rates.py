"""The learning rates that the train step uses, for `LearningRateMonitor`."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from fitwatch._engine.probes import Probe
from fitwatch._engine.step_kinds import Kind
from fitwatch._keras import learning_rate
from fitwatch._monitors.health import Health
from fitwatch._monitors.optimizer_probe import Call, OptimizerProbe


class RateProbe(OptimizerProbe):
    """Finds the learning rate of each optimizer that the train step calls."""

    kind = Kind.RATE

    def measure(self, model: Any, call: Call) -> Iterator[dict[str, Any]]:
        yield {
            # A copy, since on torch the rate itself may change before it is read.
            f"learning_rate/{name}" if name else "learning_rate": ops.copy(
                ops.cast(optimizer.learning_rate, keras.config.floatx())
            )
            for optimizer, name in learning_rate.optimizers(call.optimizer)
        }


class Rates(Health):
    """The attachment of a `LearningRateMonitor`."""

    kind = Kind.RATE
    means = False

    def probes(self, callback: Any) -> list[Probe]:
        return [RateProbe()]
