"""Attributes of a monitor whose values are stored in its compiled core."""

from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

# The names of the attributes of each class.
_names: dict[type, set[str]] = {}


class CoreAttribute(Generic[T]):
    """An attribute whose value is stored in the callback's compiled core.

    A value that the core cannot hold (a patience of 2.5, a tensor as `best`) is foreign: it is
    stored outside the core, and while there is one Keras's own code decides.

    Args:
        core_name: The name in the core, if it differs.
        plain: Whether NumPy scalars are foreign too, since they compare in their own precision.
        as_given: Whether an int stays an int although the core has a float.
    """

    def __init__(self, core_name: str = "", *, plain: bool = False, as_given: bool = False) -> None:
        self.core_name = core_name
        self._plain = plain
        self._as_given = as_given

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.core_name = self.core_name or name
        _names.setdefault(owner, set()).add(name)

    @overload
    def __get__(self, instance: None, owner: type) -> "CoreAttribute[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        monitor = instance._fitwatch
        monitor.drain()
        if self.name in monitor.foreign:
            return monitor.foreign[self.name]
        value = getattr(monitor.core, self.core_name)
        return int(value) if self.name in monitor.given_as_int else value

    def __set__(self, instance: Any, value: Any) -> None:
        monitor = instance._fitwatch
        monitor.drain()
        monitor.foreign.pop(self.name, None)
        if self._as_given:
            exact = type(value) is int and abs(value) < 2**53
            others = monitor.given_as_int - {self.name}
            monitor.given_as_int = others | {self.name} if exact else others
        extended = monitor.extended
        if self._plain and not extended and not (value is None or type(value) in (float, int)):
            monitor.foreign[self.name] = value
            return
        whole = isinstance(value, float) and value.is_integer()
        try:
            setattr(monitor.core, self.core_name, int(value) if whole else value)
        except (TypeError, OverflowError):
            if extended:
                raise ValueError(
                    f"{self.name} must be a number that the core can hold, with options that Keras "
                    f"does not have; got {value!r}."
                ) from None
            monitor.foreign[self.name] = value


def is_redefined(cls: type) -> bool:
    """Whether a subclass redefines an attribute whose value is stored in the core."""
    nearer: set[str] = set()
    for base in cls.__mro__:
        if not nearer.isdisjoint(_names.get(base, ())):
            return True
        nearer.update(vars(base))
    return False
