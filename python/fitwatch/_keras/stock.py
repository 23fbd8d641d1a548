"""Keras's own callback classes, and whose code a function is."""

import os
from types import FunctionType, MethodType
from typing import Any

import keras

# Keras's own classes by name, whatever takes their place in `keras.callbacks` later.
STOCK = {name: value for name, value in vars(keras.callbacks).items() if isinstance(value, type)}


def _folder(function: Any, levels: int) -> str:
    folder: str = function.__code__.co_filename
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder + os.sep


# Where the code of fitwatch and of Keras lies, as functions have it: programs that are packed into
# one file have other paths there than modules have.
OURS = _folder(_folder, 2)
KERAS = _folder(keras.callbacks.Callback.set_params, 3)


def is_library_code(function: Any) -> bool:
    """Whether a function was written in fitwatch or in Keras.

    One that other code has put in its place is not, whatever `functools.wraps` has copied from the
    original; nor is a mock.
    """
    return is_function_in(function, (OURS, KERAS))


def is_function_in(function: Any, folders: tuple[str, ...]) -> bool:
    """Whether it is a plain function whose code lies in one of the folders, each with its slash."""
    return type(function) is FunctionType and function.__code__.co_filename.startswith(folders)


def is_unmodified(cls: type) -> bool:
    """Whether no other code has replaced a method of one of Keras's classes."""
    methods = (
        getattr(value, "__func__", value)  # of static methods and the like
        for value in vars(cls).values()
        if callable(value) and not isinstance(value, type)
    )
    return all(map(is_library_code, methods))


def is_default(callback: Any, name: str) -> bool:
    """Whether a hook of a callback is the empty one of `keras.callbacks.Callback`."""
    hook = getattr(callback, name)
    if type(hook) is not MethodType or hook.__self__ is not callback:
        return False
    return is_library_code(hook.__func__) and getattr(hook, "_is_default", False) is True
