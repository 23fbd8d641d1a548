"""Replaces methods of a model's objects while its train step runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from fitwatch._keras.train_step import replaced

Method = Callable[..., Any]


class Interceptions:
    """The methods that are replaced at the moment.

    TensorFlow runs the steps of several devices in turn, each in a thread: a handler is only called
    for calls of its own thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local = threading.local()
        # For each object and name: how many blocks have replaced it, and how to restore it.
        self._replaced: dict[tuple[int, str], tuple[int, ExitStack]] = {}

    @contextmanager
    def calls(self, instance: Any, name: str, handler: Method) -> Iterator[None]:
        """A block in which calls of a method go to a handler.

        Args:
            instance: The object that has the method.
            name: The method's name.
            handler: Called with the method, and with the arguments of the call.
        """
        key = (id(instance), name)
        self._begin(key, instance, name)
        handlers = self._handlers()
        before = handlers.get(key)
        handlers[key] = handler if before is None else _outer(handler, before)
        try:
            yield
        finally:
            if before is None:
                del handlers[key]
            else:
                handlers[key] = before
            self._end(key)

    def _handlers(self) -> dict[tuple[int, str], Method]:
        handlers: dict[tuple[int, str], Method]
        try:
            handlers = self._local.handlers
        except AttributeError:
            handlers = self._local.handlers = {}
        return handlers

    def _begin(self, key: tuple[int, str], instance: Any, name: str) -> None:
        with self._lock:
            count, stack = self._replaced.get(key, (0, ExitStack()))
            if count == 0:
                original = getattr(instance, name)

                def method(*args: Any, **kwargs: Any) -> Any:
                    handler = self._handlers().get(key)
                    if handler is None:
                        return original(*args, **kwargs)
                    return handler(original, *args, **kwargs)

                stack.enter_context(replaced(instance, **{name: method}))
            self._replaced[key] = (count + 1, stack)

    def _end(self, key: tuple[int, str]) -> None:
        with self._lock:
            count, stack = self._replaced.pop(key)
            if count > 1:
                self._replaced[key] = (count - 1, stack)
            else:
                stack.close()


def _outer(handler: Method, inner: Method) -> Method:
    """A handler whose calls go on to another one."""

    def call(original: Method, *args: Any, **kwargs: Any) -> Any:
        return handler(partial(inner, original), *args, **kwargs)

    return call
