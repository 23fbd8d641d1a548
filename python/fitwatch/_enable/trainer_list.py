"""The class that trainers find as `CallbackList` while `fitwatch.enable()` is in force."""

from typing import Any

from fitwatch._enable import settings
from fitwatch._keras import stock
from fitwatch.callbacks.callback_list import CallbackList


class _Lookup(type):
    """Constructs fitwatch's lists, and accepts instances of Keras's.

    A trainer wraps callbacks in a new list unless `isinstance(callbacks, CallbackList)`; a list of
    Keras's class, made by the user, must be accepted too.
    """

    def __call__(cls, callbacks: Any = None, *args: Any, **kwargs: Any) -> Any:
        if cls is not TrainerList:
            return super().__call__(callbacks, *args, **kwargs)
        if settings.add_callbacks is not None:
            callbacks = settings.add_callbacks(callbacks, **kwargs)
        return CallbackList(callbacks, *args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, stock.STOCK["CallbackList"])


class TrainerList(CallbackList, metaclass=_Lookup):
    """Used only in Keras's private lookup: `keras.callbacks.CallbackList` stays a plain class."""
