"""Learning rates of a model's optimizers."""

from typing import Any

import keras

from fitwatch._keras import trainer
from fitwatch._keras.optimizer import build_optimizer, has_schedule
from fitwatch._warn import warn


def optimizers(optimizer: Any) -> list[tuple[Any, str]]:
    """The optimizers that have a learning rate, each with its name in logs and messages.

    Those inside a `MultiOptimizer` have names; that of a single optimizer is empty.
    """
    if hasattr(optimizer, "optimizers"):
        return [(inner, inner.name) for inner in optimizer.optimizers]
    return [(optimizer, "")]


def rate_of(optimizer: Any) -> float:
    """The learning rate of an optimizer."""
    rate = optimizer.learning_rate
    try:
        return float(rate)
    except TypeError:  # a variable of several devices, on TensorFlow
        return float(keras.ops.convert_to_numpy(rate))


def first_rate(model: Any) -> float | None:
    """The learning rate of a model's optimizer, or of the first of several; or None."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return None
    return next((rate_of(inner) for inner, _ in optimizers(optimizer)), None)


def log_rates(logs: dict[str, Any], optimizer: Any) -> None:
    """Adds the learning rates to the logs of an epoch."""
    for inner, name in optimizers(optimizer):
        logs[f"learning_rate_{name}" if name else "learning_rate"] = rate_of(inner)


def prepare(callback: Any) -> None:
    """Called when training begins: warns if the rate of an optimizer cannot be set.

    On some backends Keras creates the optimizers inside a `MultiOptimizer` only in the first step;
    they are created here, so that a rate can be set for the first epoch.
    """
    model = trainer.model_of(callback)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    if hasattr(optimizer, "optimizers") and not getattr(optimizer, "built", True) and model.built:
        build_optimizer(model)
    if any(has_schedule(inner) for inner, _ in optimizers(optimizer)):
        warn(
            f"{type(callback).__name__}: the optimizer has a LearningRateSchedule: its learning "
            "rate cannot be set, and trying to set it will raise a TypeError."
        )
