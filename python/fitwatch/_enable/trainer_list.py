"""What trainers find as `CallbackList` while `fitwatch.enable()` is in force."""

from typing import Any

from fitwatch._keras import stock
from fitwatch.callbacks.callback_list import CallbackList


class _Lookup(type):
    """Makes fitwatch's lists, and knows Keras's own as lists too.

    A trainer asks `isinstance(callbacks, CallbackList)` and makes a list of what is none; one of
    Keras's class, made by hand, is to be taken as it is.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is TrainerList:
            return CallbackList(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, stock.STOCK["CallbackList"])


class TrainerList(CallbackList, metaclass=_Lookup):
    """Stands in Keras's private lookup alone: `keras.callbacks.CallbackList` is a plain class."""
