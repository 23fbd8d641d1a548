"""What callbacks with a monitored metric share."""

import copy
import inspect
import math
from typing import Any, ClassVar, Self

import keras

from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._distributed.voter import Voter
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.missing_metric import missing
from fitwatch._keras import backend, stock
from fitwatch._monitors.core_attribute import CoreAttribute
from fitwatch._warn import warn


class MonitorAttachment(Attachment, Voter):
    """What a monitor has besides its public attributes.

    Args:
        core: The policy, which has the numbers and decides.

    Attributes:
        foreign: Values that the core cannot hold, by the name of their attribute.
        given_as_int: The names of attributes that were given as an int, where the core has a float.
        extended: Whether the rule is one that Keras does not have.
        op: `monitor_op`.
        core_compares: Whether the core knows how values compare.
        missing_reported: Whether a warning of this fit has named a metric that is missing.
    """

    # The methods that make up the rule; the core decides as long as none is overridden.
    rule: ClassVar[tuple[str, ...]] = ("_is_improvement",)

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
        """Whether the core decides, and not Keras's own code."""
        return (
            self.core_compares
            and not self.foreign
            and not any(self.is_overridden(callback, method) for method in self.rule)
        )

    def is_overridden(self, callback: Any, method: str) -> bool:
        """Whether a method of the callback is neither fitwatch's nor Keras's."""
        return not stock.is_library_code(getattr(getattr(callback, method), "__func__", None))

    def is_redefined(self, callback: Any) -> bool:
        """Whether a subclass has a field or property of its own where the core has the value."""
        classes = [c for c in type(callback).__mro__ if c.__module__.startswith("fitwatch.")]
        return any(
            isinstance(attribute, CoreAttribute)
            and inspect.getattr_static(type(callback), name) is not attribute
            for cls in classes
            for name, attribute in vars(cls).items()
        )

    def require_core(self, callback: Any) -> None:
        """Sees to it that the core decides, where Keras's own code could not.

        Raises:
            ValueError: A subclass has a rule of its own.
        """
        if not self.core_decides(callback):
            own = [f"{name}()" for name in self.rule if self.is_overridden(callback, name)]
            foreign = [f"{name} = {value!r}" for name, value in self.foreign.items()]
            raise ValueError(
                f"{type(callback).__name__}: unit='batch', halflife and whatever else Keras does "
                "not have cannot be joined with a rule of its own: "
                f"{', '.join([*own, *foreign]) or 'monitor_op'}."
            )

    def report_missing(self, callback: Any, logs: dict[str, Any], name: str | None = None) -> None:
        """Warns, once in a fit, that a monitored metric is not among the logs."""
        if not self.missing_reported:
            self.missing_reported = True
            warn(missing(callback, name or callback.monitor, logs))

    def twin(self) -> Self:
        """What a copy of the callback has: a core of its own."""
        twin = super().twin()
        twin.core = copy.copy(self.core)
        twin.foreign = dict(self.foreign)
        return twin


class Monitor(FitwatchCallback):
    """Stands in front of Keras's monitor callbacks: the core keeps the numbers and judges values.

    The core decides where that gives Keras's own answer: the value is a Python float, as all logs
    in `fit()` are, and no other code has replaced a part of the rule. A subclass that overrides
    such a part, another `monitor_op` and values of other types are decided on by Keras's own code,
    which finds the same attributes here.

    Differs from Keras: NaN, and the infinity on the wrong side, never become `best`. In Keras a NaN
    that comes first does, and then nothing ever improves on it. Arguments that are NumPy scalars
    count as the Python numbers that they stand for.
    """

    _fitwatch: MonitorAttachment
    monitor: str
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
            # What Keras does not have is compared exactly.
            comparison = (True, False) if own.extended else backend.comparison()
            if comparison is not None and not own.is_redefined(self):
                own.core.compare(op is keras.ops.greater, *comparison)
                own.core_compares = True

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
        return super()._is_improvement(monitor_value, reference_value)  # type: ignore[misc]

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch.missing_reported = False
        super().on_train_begin(logs)


def _number(value: Any) -> float:
    """A value as a float; NaN would be a wrong answer for an array, which has no single one."""
    array = keras.ops.convert_to_numpy(value)
    return float(array.item()) if array.size == 1 else 0.0


def _is_nan(value: Any) -> bool:
    return math.isnan(_number(value))
