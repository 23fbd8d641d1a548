"""The metrics that `EarlyStopping` watches, with their options."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fitwatch import _check


class Watched(NamedTuple):
    """A metric with its options."""

    name: str
    mode: str
    min_delta: float
    baseline: float | None
    divergence_threshold: float | None
    stopping_threshold: float | None = None  # which pickles of earlier versions lack

    @property
    def has_threshold(self) -> bool:
        """Whether a single value of the metric may stop the training."""
        return self.divergence_threshold is not None or self.stopping_threshold is not None


def watched(
    monitor: Any,
    mode: Any,
    min_delta: Any,
    baseline: Any,
    divergence_threshold: Any,
    stopping_threshold: Any,
) -> list[Watched]:
    """Converts arguments of `EarlyStopping` to one entry for each metric.

    Raises:
        ValueError: A list does not have one item for each metric, a metric is named twice, or a
            value is not allowed.
        TypeError: A value has the wrong type.
    """
    if not isinstance(monitor, (list, tuple)):
        if not isinstance(monitor, str):
            allowed = "the name of a metric, or a list of names"
            raise TypeError(f"monitor must be {allowed}; got {monitor!r}.")
        name = _check.text("monitor", monitor)
        return [
            Watched(
                name,
                mode,
                _check.number_as_given("min_delta", min_delta),
                None if baseline is None else _check.number_as_given("baseline", baseline),
                _check.optional_number("divergence_threshold", divergence_threshold),
                _check.optional_number("stopping_threshold", stopping_threshold),
            )
        ]
    names = _check.names("monitor", list(monitor))
    if len(set(names)) < len(names):
        raise ValueError(f"monitor must name each metric once; got {monitor!r}.")
    modes = _one_each("mode", mode, names, share=True)
    for one in modes:
        _check.choice("mode", one, "auto", "min", "max")
    deltas = _one_each("min_delta", min_delta, names, share=True)
    several = zip(
        names,
        modes,
        [_check.number("min_delta", delta) for delta in deltas],
        _bounds("baseline", baseline, names),
        _bounds("divergence_threshold", divergence_threshold, names),
        _bounds("stopping_threshold", stopping_threshold, names),
        strict=True,
    )
    return [Watched(*one) for one in several]


def directions(callback: Any, metrics: list[Watched], find: Callable[[], None]) -> list[bool]:
    """Whether larger is better, for each metric.

    Args:
        callback: A Keras monitor callback.
        metrics: The metrics.
        find: Keras's function that sets `monitor_op` for the current `monitor` and `mode`.
    """
    import keras

    found = []
    before = callback.monitor, callback.mode, callback.min_delta
    for metric in metrics[::-1]:  # in reverse: the `monitor_op` of the first one remains
        callback.monitor, callback.mode, callback.min_delta = metric.name, metric.mode, before[2]
        callback.monitor_op = None
        try:
            find()
        finally:
            callback.monitor, callback.mode = before[:2]
        found.append(callback.monitor_op is keras.ops.greater)
    return found[::-1]


def _bounds(argument: str, value: Any, names: list[str]) -> list[float | None]:
    each = [None] * len(names) if value is None else _one_each(argument, value, names, share=False)
    return [_check.optional_number(argument, one) for one in each]


def _one_each(argument: str, value: Any, names: list[str], *, share: bool) -> list[Any]:
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            raise ValueError(
                f"{argument} must have one value for each of {len(names)} metrics; got {value!r}."
            )
        return list(value)
    if share or len(names) == 1:
        return [value] * len(names)
    raise ValueError(
        f"{argument} must be a list with one value for each of {len(names)} metrics (None for "
        f"none); got {value!r}."
    )
