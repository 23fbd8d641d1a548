"""Checks of the items in a list of callbacks."""

from typing import Any

from fitwatch._keras import stock


def require_callback(argument: str, item: Any) -> None:
    """Checks that an item of a list of callbacks is a callback, by its methods.

    Raises:
        TypeError: It is not; the message says what to write instead.
    """
    if isinstance(item, type):
        raise TypeError(
            f"{argument} must be an instance of keras.callbacks.Callback; got the class "
            f"{item.__name__}. Write {item.__name__}(...)."
        )
    if all(callable(getattr(item, name, None)) for name in ("set_params", "set_model")):
        return
    hint = ""
    if isinstance(item, str) and item in stock.STOCK:
        hint = f" Write keras.callbacks.{item}(...)."
    elif callable(item):
        hint = " A function can be given to keras.callbacks.LambdaCallback(on_epoch_end=...)."
    raise TypeError(f"{argument} must be a keras.callbacks.Callback; got {item!r}.{hint}")
