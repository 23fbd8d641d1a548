"""Classes that stand in for Keras's."""

import abc
from typing import Any

# While `fitwatch.enable()` is in force: Keras's class, by the one that has taken its name.
stands_for: dict[type, type] = {}


class DropIn(abc.ABCMeta):
    """Metaclass: a class that has taken the name of Keras's also knows that one's instances.

    `isinstance(stopping, keras.callbacks.EarlyStopping)` was true before `fitwatch.enable()`, and
    it has to stay so for objects that were made before.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        stock = stands_for.get(cls)
        return stock is not None and isinstance(instance, stock)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if super().__subclasscheck__(subclass):
            return True
        stock = stands_for.get(cls)
        return stock is not None and issubclass(subclass, stock)
