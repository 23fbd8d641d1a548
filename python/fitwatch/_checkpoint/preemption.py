"""Signals that end the program after a backup: `save_before_preemption`."""

import signal
import sys
import time
import weakref
from typing import Any, NoReturn

from fitwatch._distributed.coordinator import coordinator_of_list
from fitwatch._enable import fit_scope
from fitwatch._enable.fit_scope import FitScope
from fitwatch._enable.signal_handlers import SignalHandlers, can_install
from fitwatch._engine.attachment import Part, attachment_of
from fitwatch._engine.plan import recorder_of
from fitwatch._warn import warn

# Sent by schedulers before they end a job; Windows has only the first one.
DEFAULT = tuple(
    number for name in ("SIGTERM", "SIGUSR1") if (number := getattr(signal, name, None)) is not None
)

# Seconds in which a signal that comes again is the same one: `timeout`, for instance, sends it to
# the process and to its group.
_SAME = 0.1

# These cannot be handled, or are Ctrl-C.
_REFUSED = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP", "SIGINT")}


class Preemption(Part):
    """Notes a signal that ends the run, and ends it once the backup is made.

    The handlers are there from the beginning of a `fit()` to its end. Of an end by an exception
    outside of all hooks, `fitwatch.enable()` tells; otherwise they are restored when the list is
    deleted, or when a signal comes.
    """

    left_out = frozenset({"number", "_scope", "_handlers"})

    # The signal that has come.
    number: int | None = None
    _since = 0.0
    _scope: FitScope | None = None

    def __init__(self) -> None:
        self._handlers = SignalHandlers()

    def begin(self, callback: Any) -> None:
        """Installs the handlers, when training begins.

        Raises:
            ValueError: This is a custom loop, whose end cannot be seen.
        """
        self.number = None
        signals = callback.save_before_preemption
        if not signals:
            return
        scope = self._scope = callback._fitwatch.scope
        if scope is None or not scope.is_fitting():
            raise ValueError(
                "BackupAndRestore(save_before_preemption=True) is for fit(); in a loop, leave it "
                "out."
            )
        if not can_install():
            warn(
                "BackupAndRestore: signals do not end this fit() with a backup: it runs in a "
                "thread, and Python handles signals only in the main thread."
            )
            return
        for number in signals:
            self._handlers.install(number, self._came)
        weakref.finalize(scope.callback_list, self._handlers.restore).atexit = False

    def restore_handlers(self) -> None:
        """Restores the handlers that were there before."""
        self._handlers.restore()

    def close(self, callback: Any, *, interrupted: bool) -> None:
        self.restore_handlers()

    def ends(self, callback: Any) -> int | None:
        """The signal that ends the run; with several processes, once all have agreed."""
        callback_list = callback._fitwatch.callback_list
        coordinator = None if callback_list is None else coordinator_of_list(callback_list)
        return self.number if coordinator is None else coordinator.agreed_signal

    def end(self, callback: Any, number: int) -> NoReturn:
        """Ends the run: completes all files, and raises SystemExit.

        A background save is finished; an error of it is a warning.
        """
        callback_list = callback._fitwatch.callback_list
        coordinator = coordinator_of_list(callback_list)
        name = signal.Signals(number).name
        if not callback._fitwatch.is_silent:
            print(
                f"\nfitwatch: {name} ends the program, with exit code {128 + number}.",
                file=sys.stderr,
                flush=True,
            )
        _abandon(callback_list)
        if coordinator is not None:
            coordinator.end_together(f"the end by {name}")
        raise SystemExit(128 + number)

    def _came(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self.number == number and now - self._since < _SAME:
            return
        previous = self._handlers.previous(number)
        scope = self._scope
        if self.number is not None or scope is None or not scope.is_fitting():
            # The second signal; or the fit() has ended, or other code has kept this handler.
            self._handlers.restore()
            if callable(previous):
                previous(number, frame)
            elif previous == signal.SIG_DFL and signal.getsignal(number) == signal.SIG_DFL:
                signal.raise_signal(number)
            return
        if callable(previous):
            previous(number, frame)
        self.number, self._since = number, now
        callback_list = scope.callback_list
        coordinator = coordinator_of_list(callback_list)
        recorder = recorder_of(callback_list)
        if coordinator is not None:
            coordinator.signal = number
        elif recorder is not None:
            recorder.interrupted = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._handlers = SignalHandlers()


def signals(value: Any) -> tuple[int, ...]:
    """The argument `save_before_preemption` as numbers of signals.

    Raises:
        TypeError: It is neither a bool nor a list.
        ValueError: A signal cannot be used.
    """
    if value is True or value is False:
        return DEFAULT if value else ()
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(
            "save_before_preemption must be True, False or a list of signals, such as "
            f"[signal.SIGTERM]; got {value!r}."
        )
    usable = signal.valid_signals() - _REFUSED
    for one in value:
        if isinstance(one, bool) or one not in usable:
            raise ValueError(
                "save_before_preemption must be a list of signals that a program can handle, other "
                f"than SIGINT; got {one!r}."
            )
    return tuple(int(one) for one in value)


def _abandon(callback_list: Any) -> None:
    """Ends the run for all callbacks of a list."""
    fit_scope.forget(callback_list)
    recorder = recorder_of(callback_list)
    if recorder is not None:
        recorder.interrupted = False
        callback_list._abandon(fit=True, interrupted=False)
        return
    for callback in list(callback_list.callbacks):
        attachment = attachment_of(callback)
        if attachment is None:
            continue
        try:
            attachment.flush()
            attachment.abandon(callback, fit=True, interrupted=False)
        except Exception as error:
            warn(f"while a run ends: {error!r}")
