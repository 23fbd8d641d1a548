"""Whether larger values of a metric are better, by Keras's own rule."""

from typing import Any

from keras import ops

from fitwatch._keras.stock import STOCK


def is_larger_better(callback: Any, name: str) -> bool:
    """Whether larger values of a metric of the callback's model are better.

    Raises:
        ValueError: Keras does not know.
    """
    judge = STOCK["ReduceLROnPlateau"](monitor=name)
    judge.set_model(callback.model)
    try:
        judge._set_monitor_op()
    except ValueError:
        raise ValueError(
            f"{type(callback).__name__}: mode must be 'min' or 'max' for the metric {name!r}, "
            "since Keras does not know whether larger values of it are better."
        ) from None
    return judge.monitor_op is ops.greater
