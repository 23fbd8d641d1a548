"""The base of callbacks with a monitored metric."""

import math
from typing import Any, ClassVar

import keras

from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._distributed.voter import Voter
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.missing_metric import missing
from fitwatch._engine.step_kinds import LARGER_IS_BETTER, is_health
from fitwatch._keras import backend, stock
from fitwatch._monitors.core_attribute import CoreAttribute, is_redefined
from fitwatch._monitors.validating import validation_names
from fitwatch._warn import warn


class MonitorAttachment(Attachment, Voter):
    """The private part of a monitor.

    Args:
        core: The policy, which stores the numbers and decides.

    Attributes:
        foreign: Values that the core cannot hold, by attribute name.
        given_as_int: The names of attributes that were given as an int, where the core has a float.
        extended: Whether the callback has options that Keras does not have.
        op: The value of `monitor_op`.
        core_compares: Whether the core knows how to compare values.
        missing_reported: Whether a missing metric was reported in this fit.
    """

    # The methods that define the rule; the core decides as long as none is overridden.
    rule: ClassVar[tuple[str, ...]] = ("_is_improvement",)

    copied = frozenset({"core", "foreign"})

    extended = False
    op: Any = None
    core_compares = False
    missing_reported = False

    def __init__(self, core: Any) -> None:
        super().__init__()
        self.core = core
        self.foreign: dict[str, Any] = {}
        self.given_as_int: frozenset[str] = frozenset()

    def core_decides(self, callback: Any) -> bool:
        """Whether the core decides, rather than Keras's own code."""
        return (
            self.core_compares
            and not self.foreign
            and not any(stock.is_overridden(callback, method) for method in self.rule)
        )

    def require_core(self, callback: Any) -> None:
        """Checks that the core decides, for options that Keras's code does not have.

        Raises:
            ValueError: A subclass has its own rule.
        """
        if not self.core_decides(callback):
            own = [f"{name}()" for name in self.rule if stock.is_overridden(callback, name)]
            foreign = [f"{name} = {value!r}" for name, value in self.foreign.items()]
            raise ValueError(
                f"{type(callback).__name__}: unit, halflife and other options that Keras "
                "does not have cannot be combined with an overridden rule: "
                f"{', '.join([*own, *foreign]) or 'monitor_op'}."
            )

    def report_missing(self, callback: Any, logs: dict[str, Any], name: str | None = None) -> None:
        """Warns, once in a fit, that a monitored metric is not in the logs."""
        if not self.missing_reported:
            self.missing_reported = True
            warn(missing(callback, name or callback.monitor, logs))


class Monitor(FitwatchCallback):
    """Precedes Keras's monitor callbacks in the bases: the core stores the numbers and decides.

    The core decides where its answer is that of Keras: for Python floats, as all logs in `fit()`
    are, and unless other code has replaced a part of the rule. For a subclass that overrides such a
    part, for another `monitor_op` and for values of other types, Keras's code decides, with the
    same attributes.

    Differs from Keras: NaN, and the infinity on the wrong side, never become `best`. In Keras a NaN
    that comes first does, and no later value improves on it. NumPy scalars as arguments count as
    Python numbers.
    """

    _fitwatch: MonitorAttachment
    monitor: str
    mode: Any
    min_delta = CoreAttribute[float](as_given=True)
    best = CoreAttribute[Any](plain=True)

    @property
    def monitor_op(self) -> Any:
        """`keras.ops.less` or `keras.ops.greater`; None until the metrics are known."""
        return self._fitwatch.op

    @monitor_op.setter
    def monitor_op(self, op: Any) -> None:
        own = self._fitwatch
        own.op = op
        own.core_compares = False
        if op is keras.ops.less or op is keras.ops.greater:
            # Options that Keras does not have compare in double precision.
            comparison = (True, False) if own.extended else backend.comparison()
            if comparison is not None and not is_redefined(type(self)):
                own.core.compare(op is keras.ops.greater, *comparison)
                own.core_compares = True

    def _set_monitor_op(self) -> None:
        mode, monitor = self.mode, self.monitor
        # Keras knows the direction of its own metrics only, also with "val_" before the name.
        if mode == "auto" and is_health(monitor):
            self.mode = "max" if monitor in LARGER_IS_BETTER else "min"
        for name in validation_names(self._fitwatch.siblings()):
            if monitor.startswith(f"{name}_"):
                self.monitor = f"val_{monitor.removeprefix(f'{name}_')}"
        try:
            super()._set_monitor_op()
        finally:
            self.mode, self.monitor = mode, monitor

    def _is_improvement(self, monitor_value: Any, reference_value: Any) -> Any:
        own = self._fitwatch
        known = reference_value is None or type(reference_value) in (float, int)
        if own.core_compares and not own.foreign and type(monitor_value) is float and known:
            return own.core.improves(monitor_value, reference_value)
        if _is_nan(monitor_value):
            return False
        if reference_value is None or _is_nan(reference_value):
            worst = {keras.ops.less: math.inf, keras.ops.greater: -math.inf}
            return _number(monitor_value) != worst.get(self.monitor_op, math.nan)
        return super()._is_improvement(monitor_value, reference_value)

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch.missing_reported = False
        super().on_train_begin(logs)


def _number(value: Any) -> float:
    """A value as a float; 0 for an array of several values, which does not count as NaN."""
    array = keras.ops.convert_to_numpy(value)
    return float(array.item()) if array.size == 1 else 0.0


def _is_nan(value: Any) -> bool:
    return math.isnan(_number(value))
