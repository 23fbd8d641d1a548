"""Handlers of signals that are installed for the time of a run."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Handler = Callable[[int, Any], None]


def can_install() -> bool:
    """Whether this is the main thread; Python runs no handlers in others."""
    return threading.current_thread() is threading.main_thread()


class SignalHandlers:
    """Handlers that replace others, which are restored later."""

    def __init__(self) -> None:
        # For each signal: the handler, and the one that was there before.
        self._installed: dict[int, tuple[Handler, Any]] = {}

    def install(self, number: int, handler: Handler) -> None:
        """Installs a handler; for the main thread only."""
        self._installed[number] = handler, signal.signal(number, handler)

    def previous(self, number: int) -> Any:
        """The handler that was there before; None if `restore` was called."""
        return self._installed.get(number, (None, None))[1]

    def restore(self) -> None:
        """Restores the previous handlers, except where other code has replaced the new ones."""
        while self._installed:
            number, (handler, previous) = self._installed.popitem()
            # The finalizer of an object may run in another thread.
            with suppress(ValueError):
                if signal.getsignal(number) == handler:
                    # None stands for a handler that is not Python's, which it cannot restore.
                    signal.signal(number, signal.SIG_DFL if previous is None else previous)
