"""What callbacks with a monitored metric share."""

import copy
import inspect
import math
from typing import Any, Generic, TypeVar, overload

import keras

from fitwatch._checkpoint.stateful import Stateful
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.missing_metric import missing
from fitwatch._keras import backend, stock
from fitwatch._warn import warn

T = TypeVar("T")


class CoreAttribute(Generic[T]):
    """An attribute whose value lives in the callback's compiled core.

    A value that the core cannot hold (a patience of 2.5, a best that is a tensor) is kept beside
    it as it is, and Keras's own code decides as long as there is one.

    Args:
        core_name: Its name in the core, where that is another.
        plain: Whether NumPy's scalars are foreign too, since they compare in their own precision.
        as_given: Whether an int is read as one where the core has a float.
    """

    def __init__(self, core_name: str = "", *, plain: bool = False, as_given: bool = False) -> None:
        self.core_name = core_name
        self._plain = plain
        self._as_given = as_given

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.core_name = self.core_name or name

    @overload
    def __get__(self, instance: None, owner: type) -> "CoreAttribute[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        instance._fitwatch.drain()
        if self.name in instance._foreign:
            return instance._foreign[self.name]
        value = getattr(instance._fitwatch_core, self.core_name)
        return int(value) if self.name in instance._given_as_int else value

    def __set__(self, instance: Any, value: Any) -> None:
        instance._fitwatch.drain()
        instance._foreign.pop(self.name, None)
        if self._as_given:
            exact = type(value) is int and abs(value) < 2**53
            others = instance._given_as_int - {self.name}
            instance._given_as_int = others | {self.name} if exact else others
        extended = instance._fitwatch_extended
        if self._plain and not extended and not (value is None or type(value) in (float, int)):
            instance._foreign[self.name] = value
            return
        whole = isinstance(value, float) and value.is_integer()
        try:
            setattr(instance._fitwatch_core, self.core_name, int(value) if whole else value)
        except (TypeError, OverflowError):
            if extended:
                raise ValueError(
                    f"{self.name} must be a number that the core can hold, where something is "
                    f"asked for that Keras does not have; got {value!r}."
                ) from None
            instance._foreign[self.name] = value


class Monitor(Stateful, FitwatchCallback):
    """Mixin for Keras's monitor callbacks: the core keeps the numbers and judges the values.

    The core decides where that gives Keras's own answer: the value is a Python float, as all logs
    in `fit()` are, and nobody replaced a part of the rule. A subclass that overrides such a part,
    another `monitor_op` and values of other types are decided on by Keras's own code, which finds
    the same attributes here.

    Differs from Keras: NaN, and the infinity on the wrong side, never become `best`. In Keras a NaN
    that comes first does, and then nothing ever improves on it. Arguments that are NumPy scalars
    count as the Python numbers that they stand for.
    """

    _fitwatch_core: Any
    _core_type: type
    # The methods that make up the rule; the core decides as long as none is overridden.
    _rule: tuple[str, ...] = ("_is_improvement",)
    _monitor_op: Any = None
    _core_compares = False
    _foreign: dict[str, Any]
    _given_as_int: frozenset[str] = frozenset()
    _missing_reported = False
    # Whether the rule is one that Keras does not have.
    _fitwatch_extended = False

    monitor: str
    min_delta = CoreAttribute[float](as_given=True)
    best = CoreAttribute[Any](plain=True)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls, *args, **kwargs)
        self._fitwatch_core = cls._core_type()
        self._foreign = {}
        return self

    @property
    def monitor_op(self) -> Any:
        """`keras.ops.less` or `keras.ops.greater`; None until the metrics are known."""
        return self._monitor_op

    @monitor_op.setter
    def monitor_op(self, op: Any) -> None:
        self._monitor_op = op
        self._core_compares = False
        if op is keras.ops.less or op is keras.ops.greater:
            # What Keras has not is compared exactly.
            comparison = (True, False) if self._fitwatch_extended else backend.comparison()
            if comparison is not None and not self._attribute_redefined():
                self._fitwatch_core.compare(op is keras.ops.greater, *comparison)
                self._core_compares = True

    def _core_decides(self) -> bool:
        return (
            self._core_compares
            and not self._foreign
            and not any(self._overridden(method) for method in self._rule)
        )

    def _overridden(self, method: str) -> bool:
        return not stock.is_library_code(getattr(getattr(self, method), "__func__", None))

    def _attribute_redefined(self) -> bool:
        """Whether a subclass has a field or property of its own where the core has the value."""
        classes = [c for c in type(self).__mro__ if c.__module__.startswith("fitwatch.")]
        return any(
            isinstance(attribute, CoreAttribute)
            and inspect.getattr_static(type(self), name) is not attribute
            for cls in classes
            for name, attribute in vars(cls).items()
        )

    def _is_improvement(self, monitor_value: Any, reference_value: Any) -> Any:
        known = reference_value is None or type(reference_value) in (float, int)
        if self._core_compares and not self._foreign and type(monitor_value) is float and known:
            return self._fitwatch_core.improves(monitor_value, reference_value)
        if _is_nan(monitor_value):
            return False
        if reference_value is None or _is_nan(reference_value):
            worst = {keras.ops.less: math.inf, keras.ops.greater: -math.inf}
            return _number(monitor_value) != worst.get(self.monitor_op, math.nan)
        return super()._is_improvement(monitor_value, reference_value)  # type: ignore[misc]

    def _require_core(self) -> None:
        """Sees to it that the core decides, where Keras's own code could not.

        Raises:
            ValueError: A subclass has a rule of its own.
        """
        if not self._core_decides():
            own = [f"{name}()" for name in self._rule if self._overridden(name)]
            foreign = [f"{name} = {value!r}" for name, value in self._foreign.items()]
            raise ValueError(
                f"{type(self).__name__}: unit='batch', halflife and whatever else Keras does not "
                "have cannot be joined with a rule of its own: "
                f"{', '.join([*own, *foreign]) or 'monitor_op'}."
            )

    def _report_missing(self, logs: dict[str, Any], name: str | None = None) -> None:
        """Warns, once in a fit, that a monitored metric is not among the logs."""
        if self._missing_reported:
            return
        self._missing_reported = True
        warn(missing(self, name or self.monitor, logs))

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._missing_reported = False
        super().on_train_begin(logs)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._fitwatch_core = copy.copy(self._fitwatch_core)
        self._foreign = dict(self._foreign)


def _number(value: Any) -> float:
    """A value as a float; NaN would be a wrong answer for an array, which has no single one."""
    array = keras.ops.convert_to_numpy(value)
    return float(array.item()) if array.size == 1 else 0.0


def _is_nan(value: Any) -> bool:
    return math.isnan(_number(value))
