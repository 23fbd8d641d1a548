"""What lies around a `fit()`, `evaluate()` or `predict()` while `fitwatch.enable()` is in force.

No callback is told of an exception that comes from the data or from the training step, and Keras
swallows Ctrl-C where it converts logs. Both need something around the whole call.
"""

import functools
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

_local = threading.local()


def guarded(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A trainer's method, with an end that comes whatever happens."""

    @functools.wraps(method)
    def call(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        runs = _runs()
        if runs and runs[-1].hands_on(name, model):
            return method(model, *args, **kwargs)
        run = Run(name, model)
        runs.append(run)
        try:
            result = method(model, *args, **kwargs)
        except BaseException as error:
            run.abandon(interrupted=isinstance(error, KeyboardInterrupt))
            raise
        finally:
            runs.remove(run)
            run.close()
        if run.interrupted and not runs:
            raise KeyboardInterrupt  # it came after the last batch
        return result

    return call


def attach(callback_list: Any) -> None:
    """Tells the run that is going on, if any, which callback list it has."""
    runs = _runs()
    if runs and not any(callback_list in run.lists for run in runs):
        runs[-1].attach(callback_list)


def _runs() -> list["Run"]:
    """The runs of this thread: one may be nested in another."""
    try:
        runs: list[Run] = _local.runs
    except AttributeError:
        runs = _local.runs = []
    return runs


class Run:
    """One call of a trainer's method.

    Args:
        method: Its name.
        model: The model.
    """

    def __init__(self, method: str, model: Any) -> None:
        self._method = method
        self._model = model
        self.interrupted = False
        self.lists: list[Any] = []
        self._previous: Any = None

    def hands_on(self, method: str, model: Any) -> bool:
        """Whether a call is a part of this run: that of a tool's `Model.fit` to the trainer's."""
        return not self.lists and self._method == method and self._model is model

    def attach(self, callback_list: Any) -> None:
        """Takes a callback list; from now on Ctrl-C ends the run after the current batch."""
        self.lists.append(callback_list)
        if any(run.interrupted for run in _runs()):
            callback_list._recorder.interrupted = True
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._on_interrupt)

    def abandon(self, *, interrupted: bool) -> None:
        """Ends what the callbacks had begun. Never raises."""
        for callback_list in self.lists:
            callback_list._abandon(fit=self._method == "fit", interrupted=interrupted)

    def close(self) -> None:
        """Puts back the signal handler that was there before."""
        # Unless somebody has put another one in its place.
        if self._previous is not None and signal.getsignal(signal.SIGINT) == self._on_interrupt:
            signal.signal(signal.SIGINT, self._previous)
        self._previous = None

    def _on_interrupt(self, number: int, frame: Any) -> None:
        # The second press; or the run is over, and somebody has kept the handler.
        if self.interrupted or self._previous is None:
            self.close()
            signal.default_int_handler(number, frame)
        self.interrupted = True
        for run in _runs():
            for callback_list in run.lists:
                callback_list._recorder.interrupted = True
        print(
            "\nfitwatch: ending after this batch; press Ctrl-C again to end at once.",
            file=sys.stderr,
            flush=True,
        )
