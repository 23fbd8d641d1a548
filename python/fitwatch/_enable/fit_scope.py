"""The scope of one run: of `fit()`, `evaluate()` or `predict()`, or of a custom loop.

While `fitwatch.enable()` is in force, a scope encloses the whole call. It handles exceptions of the
data and of the train step, of which Keras tells no callback, and Ctrl-C, which Keras swallows while
it converts logs. Otherwise a scope is made when a callback gets its model.
"""

import functools
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from fitwatch._enable.signal_handlers import SignalHandlers, can_install
from fitwatch._keras.frames import is_fitting

_local = threading.local()


class FitScope:
    """One run.

    Args:
        method: The trainer's method, `"fit"`, `"evaluate"` or `"predict"`; None for a loop.
        model: The model, if the scope encloses the call; else None.
    """

    def __init__(self, method: str | None, model: Any = None) -> None:
        self.interrupted = False
        self._method = method
        self._model = model
        self._thread = threading.get_ident()
        # The list whose callbacks have joined, and the lists whose run has begun.
        self._joined: weakref.ref[Any] | None = None
        self._begun: list[Any] = []
        self._has_ended = False
        self._handlers = SignalHandlers()

    @property
    def callback_list(self) -> Any:
        """The list whose callbacks have joined; None once it is gone."""
        return None if self._joined is None else self._joined()

    def is_of(self, callback_list: Any) -> bool:
        """Whether this is a run of the list in this thread."""
        return self.callback_list is callback_list and self._thread == threading.get_ident()

    def is_fitting(self) -> bool:
        """Whether its `fit()` is still running, and was not ended by an exception."""
        callback_list = self.callback_list
        running = callback_list is not None and not self._has_ended
        return running and is_fitting(self._thread, callback_list)

    def is_forwarded(self, method: str, model: Any) -> bool:
        """Whether a call is part of this run: a tool's `Model.fit` calls the trainer's."""
        return not self._begun and self._method == method and self._model is model

    def can_be_of(self, method: str | None, callback_list: Any) -> bool:
        """Whether this can be the run of a list that has just got its model."""
        if self._method != method:
            return False
        known = self._joined is not None or self._begun
        return not known or self.callback_list is callback_list or callback_list in self._begun

    def join(self, callback_list: Any) -> None:
        """Notes that a callback of the list has joined."""
        self._joined = weakref.ref(callback_list)

    def begin(self, callback_list: Any) -> None:
        """Begins the run of a list; from now on Ctrl-C ends it after the current batch."""
        self._begun.append(callback_list)
        if is_interrupted():
            callback_list._recorder.interrupted = True
        if can_install() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handlers.install(signal.SIGINT, self._on_interrupt)

    def abandon(self, *, interrupted: bool) -> None:
        """Ends the run of all lists after an exception. Never raises."""
        for callback_list in self._begun:
            callback_list._abandon(fit=self._method == "fit", interrupted=interrupted)

    def close(self) -> None:
        """Ends the scope, and restores the previous signal handler."""
        self._has_ended = True
        self._begun.clear()
        self._model = None
        self._handlers.restore()

    def _on_interrupt(self, number: int, frame: Any) -> None:
        # The second Ctrl-C; or the run is over, and other code has kept the handler.
        if self.interrupted or self._handlers.previous(number) is None:
            self._handlers.restore()
            signal.default_int_handler(number, frame)
        self.interrupted = True
        for scope in _scopes():
            for callback_list in scope._begun:
                callback_list._recorder.interrupted = True
        print(
            "\nfitwatch: ending after this batch; press Ctrl-C again to end at once.",
            file=sys.stderr,
            flush=True,
        )


def with_scope(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wraps a trainer's method in a scope, which ends with the call in any case."""

    @functools.wraps(method)
    def call(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        scopes = _scopes()
        if scopes and scopes[-1].is_forwarded(name, model):
            return method(model, *args, **kwargs)
        scope = FitScope(name, model)
        scopes.append(scope)
        try:
            result = method(model, *args, **kwargs)
        except BaseException as error:
            scope.abandon(interrupted=isinstance(error, KeyboardInterrupt))
            raise
        finally:
            scopes.remove(scope)
            scope.close()
        if scope.interrupted and not scopes:
            raise KeyboardInterrupt  # Ctrl-C came after the last batch
        return result

    return call


def begin(callback_list: Any) -> None:
    """Called when a compiled list begins a run: tells the enclosing scope, if there is one."""
    scopes = _scopes()
    if scopes and not any(callback_list in scope._begun for scope in scopes):
        scopes[-1].begin(callback_list)


def join(method: str | None, callback_list: Any) -> FitScope:
    """The scope of a callback's run: the enclosing one, or a new one."""
    scopes = _scopes()
    scope = scopes[-1] if scopes and scopes[-1].can_be_of(method, callback_list) else None
    if scope is None:
        scope = FitScope(method)
    scope.join(callback_list)
    return scope


def is_interrupted() -> bool:
    """Whether Ctrl-C was pressed in a run of this thread that has not ended."""
    return any(scope.interrupted for scope in _scopes())


def forget(callback_list: Any) -> None:
    """Leaves the run of a list to the caller, who has ended it."""
    for scope in _scopes():
        if callback_list in scope._begun:
            scope._begun.remove(callback_list)


def _scopes() -> list[FitScope]:
    """The nested scopes of calls in this thread."""
    try:
        scopes: list[FitScope] = _local.scopes
    except AttributeError:
        scopes = _local.scopes = []
    return scopes
