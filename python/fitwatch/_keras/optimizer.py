"""Optimizers: whether their rate can be set, their variables, and the averages of the weights."""

from contextlib import nullcontext
from typing import Any

import keras


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer has a `LearningRateSchedule`, so that its rate cannot be set."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # under loss scaling
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(getattr(inner, "_learning_rate", None), schedule)


def build_optimizer(model: Any) -> None:
    """Creates the optimizer's variables, as the first train step would."""
    strategy = getattr(model, "distribute_strategy", None)  # on TensorFlow
    with nullcontext() if strategy is None else strategy.scope():
        model.optimizer.build(model.trainable_variables)


def averaged_variables(model: Any) -> list[tuple[Any, Any]]:
    """The trained variables of which the optimizer keeps averages, each with its average."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # under loss scaling
    pairs: list[tuple[Any, Any]] = []
    for inner in getattr(optimizer, "optimizers", [optimizer]):
        averages = getattr(inner, "_model_variables_moving_average", [])
        pairs += zip(inner._trainable_variables, averages, strict=False)
    return pairs
