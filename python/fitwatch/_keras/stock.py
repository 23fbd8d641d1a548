"""Keras's own callback classes, and whether a function is code of Keras or fitwatch."""

import os
from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any

import keras

# Keras's own classes by name, even after they are replaced in `keras.callbacks`.
STOCK = {name: value for name, value in vars(keras.callbacks).items() if isinstance(value, type)}


def _folder(function: Any, levels: int) -> str:
    folder: str = function.__code__.co_filename
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder + os.sep


# The folders of fitwatch's and Keras's code, by the paths in code objects: in programs packed into
# one file these differ from the paths of modules.
OURS = _folder(_folder, 2)
KERAS = _folder(keras.callbacks.Callback.set_params, 3)
_LIBRARIES = OURS, KERAS


def is_library_code(function: Any) -> bool:
    """Whether a function is code of fitwatch or Keras.

    A replacement by other code is not, even with attributes copied by `functools.wraps`; nor is a
    mock.
    """
    return is_function_in(function, _LIBRARIES)


def is_function_in(function: Any, folders: tuple[str, ...]) -> bool:
    """Whether this is a plain function with code in one of the folders, which end in a slash."""
    return type(function) is FunctionType and function.__code__.co_filename.startswith(folders)


def is_overridden(callback: Any, method: str) -> bool:
    """Whether other code than fitwatch's and Keras's defines a method of a callback."""
    return not is_library_code(getattr(getattr(callback, method), "__func__", None))


def instances(callbacks: Iterable[Any], name: str) -> list[Any]:
    """The instances of a Keras class, by type: a mock passes any isinstance check."""
    return [callback for callback in callbacks if issubclass(type(callback), STOCK[name])]


def finish_hooks(callback_list: Any) -> None:
    """Waits for the hooks that Keras's list runs on other threads."""
    callback_list._flush_futures()


def is_unmodified(cls: type) -> bool:
    """Whether all methods of a Keras class are still Keras's."""
    methods = (
        getattr(value, "__func__", value)  # unwraps static methods
        for value in vars(cls).values()
        if callable(value) and not isinstance(value, type)
    )
    return all(map(is_library_code, methods))


def is_default(callback: Any, name: str) -> bool:
    """Whether a hook of a callback is the empty one of `keras.callbacks.Callback`."""
    return is_empty(callback, getattr(callback, name))


def is_empty(callback: Any, hook: Any) -> bool:
    """The same, of the bound hook."""
    if type(hook) is not MethodType or hook.__self__ is not callback:
        return False
    return getattr(hook, "_is_default", False) is True and is_library_code(hook.__func__)
