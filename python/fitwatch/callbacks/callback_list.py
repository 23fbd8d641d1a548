"""CallbackList."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import keras

from fitwatch import _check, _core
from fitwatch._distributed.callback import refuse_twice
from fitwatch._distributed.coordinator import coordinator_of_list, join
from fitwatch._enable import fit_scope, settings
from fitwatch._engine import after_batch, plan, readers, slow_hooks
from fitwatch._engine.attachment import Attachment, attachment_of
from fitwatch._engine.hooks_around import unwrapped
from fitwatch._engine.list_items import require_callback
from fitwatch._engine.logs import Logs, flatten
from fitwatch._keras import model_state, stock, trees
from fitwatch._warn import warn
from fitwatch.callbacks.history import History
from fitwatch.callbacks.progbar_logger import ProgbarLogger

# Attributes that a copy of a list does not have.
_OF_A_RUN = ("_recorder", "_reported", "_fitwatch_coordinator", "_fitwatch_after_batches")
_HOOKS = tuple(
    f"on_{kind}batch_{when}"
    for kind in ("train_", "test_", "predict_", "")
    for when in ("begin", "end")
)


class CallbackList(keras.callbacks.CallbackList):  # type: ignore[misc]
    """A container of callbacks whose batch hooks are compiled.

    Same arguments, attributes, order and form of calls as `keras.callbacks.CallbackList`. Pass it
    to `fit(callbacks=...)`, call its hooks from a custom loop, or let `fitwatch.enable()` make
    every `fit()` build one.

    A batch hook that no callback overrides is never called, and a value that no callback reads is
    never converted. A callback that overrides a batch hook is called for every batch, in order,
    with a dict of logs that converts values when they are read. fitwatch's own callbacks get their
    values from the core, some batches later; reading one of their attributes processes pending
    values first, and so does the end of an epoch.

    Args:
        callbacks: A list of callbacks, or one callback; None (default) for none.
        add_history: Whether to add a `History`, if there is none. Default False.
        add_progbar: Whether to add a `ProgbarLogger`, if there is none. Default False.
        model: The model that the callbacks watch; None (default) if `set_model` is called later.
        max_lag: The most batches (0 or more) by which a decision that depends on batch values may
            be late, where the device runs ahead of the program: on JAX, and on GPUs. 0 waits for
            every batch, as Keras does. Where values are ready at once, no decision is late. None
            (default) stands for the value of `fitwatch.enable()`, or 16.
        **params: Passed to the callbacks' `set_params`.

    Raises:
        ValueError: `max_lag` is negative or not whole; or, with a model, one of fitwatch's
            callbacks is in the list twice.
        TypeError: `max_lag` is not a number, or an item of `callbacks` is not a callback, such as a
            class in place of an instance.
        RuntimeError: Another running `fit()` uses one of fitwatch's callbacks.

    Differs from Keras:
        - All hooks run on the calling thread. On JAX and torch, Keras runs the hooks of some lists
          on a pool of threads.
        - Which callbacks override a batch hook is determined when training, an epoch, an evaluation
          or a prediction begins, and when the list of callbacks changes.

    Example:
        >>> from fitwatch import callbacks
        >>> seen = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: print(logs))
        >>> callback_list = callbacks.CallbackList([seen])
        >>> callback_list.on_train_batch_end(0, {"loss": 0.5})
        {'loss': 0.5}
    """

    _recorder: _core.Recorder
    _fitwatch_after_batches: after_batch.AfterBatches
    _reported: list[Any]
    _history: Any
    # What Keras's methods iterate over in place of the callbacks, once.
    _timed: Iterator[Any] | None = None

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        *,
        max_lag: int | None = None,
        **params: Any,
    ) -> None:
        if max_lag is None:
            max_lag = settings.max_lag
        self._connect(_check.count("max_lag", max_lag))
        super().__init__(
            callbacks, add_history=add_history, add_progbar=add_progbar, model=model, **params
        )

    def _connect(self, max_lag: int) -> None:
        trees.register_dict(Logs)
        self._recorder = _core.Recorder(self, Logs, max_lag)
        after_batch.join(self)
        self._reported = []
        self._take_hooks()

    def _take_hooks(self) -> None:
        """Calls the recorder's builtin hooks directly, unless other code has replaced a hook.

        For a hook that a subclass overrides, or that a tool has replaced in this class or in
        Keras's, the method of the class is called.
        """
        for hook in _HOOKS:
            builtin = getattr(self._recorder, hook)
            if getattr(type(self), hook) is _METHODS[hook] and _is_keras_own(hook):
                self.__dict__.setdefault(hook, builtin)
            elif self.__dict__.get(hook) == builtin:
                del self.__dict__[hook]

    @property
    def callbacks(self) -> Any:
        """The callbacks, in the order of their calls, as a mutable list."""
        if self._timed is not None:
            timed, self._timed = self._timed, None
            return timed
        return self._recorder.callbacks

    @callbacks.setter
    def callbacks(self, callbacks: Any) -> None:
        for place, callback in enumerate(callbacks):
            require_callback(f"callbacks[{place}]", callback)
        self._recorder.callbacks = callbacks

    @property
    def max_lag(self) -> int:
        """The most batches by which a decision that depends on batch values may be late."""
        return self._recorder.max_lag

    def set_model(self, model: Any) -> None:
        """Sets the model, also on the callbacks."""
        if model is not None:
            join(self, model)
        super().set_model(model)

    def append(self, callback: Any) -> None:
        """Adds a callback at the end. As in Keras, its model and params are not set.

        Args:
            callback: A callback.

        Raises:
            ValueError: The callback is one of fitwatch's, and already in the list.
            TypeError: `callback` is not a callback.

        Example:
            >>> from fitwatch import callbacks
            >>> callback_list = callbacks.CallbackList(max_lag=0)
            >>> callback_list.append(callbacks.History())
            >>> len(callback_list.callbacks), callback_list.max_lag
            (1, 0)
        """
        require_callback("callback", callback)
        refuse_twice(callback, [*self.callbacks, callback])
        self.callbacks.append(callback)

    def _configure_async_dispatch(self, callbacks: Any) -> None:
        """Does nothing: no hook runs on another thread."""

    def _add_default_callbacks(self, add_history: bool, add_progbar: bool) -> None:
        super()._add_default_callbacks(add_history=False, add_progbar=False)
        if add_history and self._history is None:
            self._history = _default(History)
            self.callbacks.append(self._history)
        found = [c for c in self.callbacks if isinstance(c, stock.STOCK["ProgbarLogger"])]
        self._progbar = found[-1] if found else None
        if add_progbar and self._progbar is None:
            self._progbar = _default(ProgbarLogger)
            self.callbacks.append(self._progbar)

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when training begins."""
        self._reported = []
        self._recorder.start_over()
        self._fitwatch_after_batches.begin(self)
        model_state.begin_lean_state(getattr(self, "_model", None))
        self._begin("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Called when training has ended."""
        self._end("on_train_end", logs)
        self._fitwatch_after_batches.end()
        model_state.end_lean_state(getattr(self, "_model", None))
        for callback, attachment in self._attachments():
            attachment.fit_ended(callback)

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation begins."""
        self._begin("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Called when an evaluation has ended."""
        self._end("on_test_end", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Called when a prediction begins."""
        self._begin("on_predict_begin", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        """Called when a prediction has ended."""
        self._end("on_predict_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch begins."""
        with self._flushing():
            self._recorder.drain()
            self._call("on_epoch_begin", epoch, logs)
            self._fitwatch_after_batches.epoch_begin(epoch)
            self._take_hooks()
            self._recorder.replan()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch has ended."""
        with self._flushing():
            self._recorder.drain()
            for _, attachment in self._attachments():
                attachment.add_to_logs(logs)
            self._fitwatch_after_batches.validations.epoch_end(self, epoch, logs)
            self._call("on_epoch_end", epoch, logs)
        self._report()
        if fit_scope.is_interrupted():
            self._interrupted()

    def _begin(self, hook: str, logs: Any) -> None:
        fit_scope.begin(self)
        with self._flushing():
            self._recorder.drain()
            self._call(hook, logs)
            self._take_hooks()
            self._recorder.replan()

    def _end(self, hook: str, logs: Any) -> None:
        with self._flushing():
            self._recorder.drain()
            self._call(hook, logs)
            self._recorder.replan()
        self._report()

    def _call(self, hook: str, *args: Any) -> None:
        """Calls Keras's method, which calls the hook of each callback."""
        spent = self._recorder.spent
        if spent is not None and _is_keras_own(hook):
            self._timed = self._time_each(spent)
        getattr(super(), hook)(*args)

    def _time_each(self, spent: _core.Spent) -> Iterator[Any]:
        """The callbacks; what is done with each one counts as the time of its hooks."""
        for callback in self._recorder.callbacks:
            mark = spent.mark()
            yield callback
            spent.add(callback, mark)

    @contextmanager
    def _flushing(self) -> Iterator[None]:
        """A block; after an exception in it, the files of all callbacks are flushed."""
        try:
            yield
        except BaseException:
            self._failed()
            raise

    # Called by the core.

    def _plan(self, hook: str) -> Any:
        planned: list[Any] = plan.plan(self.callbacks, hook, self._recorder)
        coordinator, last = coordinator_of_list(self), len(self.callbacks)
        if coordinator is not None:
            planned += [(last, *entry) for entry in coordinator.planned(hook)]
        if hook == "on_train_batch_end":
            forms = self._fitwatch_after_batches.planned(self)
            planned += [(last, form[1], form) for form in forms]
        return planned

    def _flatten(self, logs: Any) -> dict[Any, Any]:
        return flatten(logs)

    def _reader(self) -> _core.Reader:
        return readers.reader()

    def _failed(self) -> None:
        """Called when an exception passes through: processes and flushes pending values."""
        _try(partial(self._recorder.drain_for_read, last=True))
        for _, attachment in self._attachments():
            _try(attachment.flush)
        _try(partial(model_state.sync_state, getattr(self, "_model", None)))
        coordinator, error = coordinator_of_list(self), sys.exception()
        if coordinator is not None and error is not None:
            coordinator.leave(error)

    def _interrupted(self) -> None:
        """Called when the batch has ended during which Ctrl-C was pressed, or a signal came."""
        self._recorder.interrupted = False
        if fit_scope.is_interrupted():
            self._failed()
            raise KeyboardInterrupt
        with self._flushing():
            self._recorder.drain()
            for callback, attachment in self._attachments():
                attachment.interrupted(callback)
        self._recorder.interrupted = True  # none of them has ended it yet

    def _report(self) -> None:
        """Warns about callbacks that slow the training down, once for each."""
        slow_hooks.report(self._recorder.shares(), self._reported, replacements())

    def _abandon(self, *, fit: bool, interrupted: bool) -> None:
        """Called when a run ends without its `on_*_end`. Never raises."""
        self._failed()
        self._in_begin_end_block_count = 0
        if fit:
            model_state.end_lean_state(getattr(self, "_model", None))
        for callback, attachment in self._attachments():
            _try(partial(attachment.abandon, callback, fit=fit, interrupted=interrupted))

    def _attachments(self) -> list[tuple[Any, Attachment]]:
        """The callbacks that are fitwatch's, each with its attachment."""
        found = [(callback, attachment_of(callback)) for callback in self.callbacks]
        return [(callback, attachment) for callback, attachment in found if attachment is not None]

    def __getstate__(self) -> Any:
        # Without the recorder and its hooks, and without wrapped hooks: a copy shares nothing.
        bare = {name: unwrapped(value) for name, value in self.__dict__.items()}
        state = {
            name: value
            for name, value in bare.items()
            if name not in _OF_A_RUN
            and not any(getattr(value, "__self__", None) is one for one in (self, self._recorder))
        }
        return {"callbacks": list(self.callbacks), "max_lag": self.max_lag, "state": state}

    def __setstate__(self, state: Any) -> None:
        self._connect(state["max_lag"])
        self.__dict__.update(state["state"])
        self.callbacks = state["callbacks"]


@cache
def replacements() -> dict[type, str]:
    """Keras's classes that fitwatch replaces, with their names."""
    from fitwatch import callbacks  # which imports this module

    return {
        theirs: name
        for name, theirs in stock.STOCK.items()
        if name in callbacks.__all__ and getattr(callbacks, name) is not theirs
    }


def _default(cls: type) -> Any:
    """Constructs fitwatch's callback; Keras's if other code has modified that class."""
    theirs = stock.STOCK[cls.__name__]
    return cls() if stock.is_unmodified(theirs) else theirs()


def _try(action: Callable[[], None]) -> None:
    """Runs one of several independent cleanup actions; warns about its exception."""
    try:
        action()
    except BaseException as error:
        warn(f"while a run ends: {error!r}")


def _is_keras_own(hook: str) -> bool:
    """Whether the hook of Keras's list is still Keras's."""
    return stock.is_library_code(vars(stock.STOCK["CallbackList"])[hook])


def _method(hook: str) -> Callable[..., None]:
    """The hook as a method of the class, for subclasses and tools that wrap it.

    If other code has replaced the hook of Keras's list, that one is called. It usually calls
    Keras's, which at the end of a batch calls the hook with a leading underscore.
    """

    def method(self: CallbackList, batch: Any, logs: Any = None) -> None:
        if _is_keras_own(hook):
            getattr(self._recorder, hook)(batch, logs)
        else:
            getattr(stock.STOCK["CallbackList"], hook)(self, batch, logs)

    method.__name__ = hook
    method.__qualname__ = f"CallbackList.{hook}"
    method.__doc__ = f"Calls `{hook}` of the callbacks that have it."
    return method


def _end_of_batch(hook: str) -> Callable[..., None]:
    def method(self: CallbackList, batch: Any, logs: Any = None) -> None:
        getattr(self._recorder, hook)(batch, logs)

    return method


_METHODS = {hook: _method(hook) for hook in _HOOKS}
for _hook, _function in _METHODS.items():
    setattr(CallbackList, _hook, _function)
    if _hook.endswith("end"):
        setattr(CallbackList, f"_{_hook}", _end_of_batch(_hook))
del _hook, _function
