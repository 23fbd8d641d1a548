"""Signs of life between the processes of a training."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Heartbeat:
    """Signs of life while a process is busy, and only then, so that a hanging process is noticed.

    The thread that posts them also prints who has left: this process may be waiting for that rank
    inside a training step, where no error reaches it. Work shorter than `seconds` posts no sign.
    """

    def __init__(self, store: Any, prefix: str, rank: int, seconds: float) -> None:
        self._store, self._prefix, self._rank, self._seconds = store, prefix, rank, seconds
        self._depth = self._count = self._pauses = 0
        self._ended = threading.Event()
        thread = threading.Thread(target=self._run, name="fitwatch: busy", daemon=True)
        thread.start()

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block that waits for the other processes, in which this one does not count as busy."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()

    def _run(self) -> None:
        reported = False
        while not self._ended.wait(self._seconds):
            if self._pauses:
                continue
            with suppress(Exception):  # the next round reports a lost store
                if self._depth:
                    self._count += 1
                    self._store.set(f"{self._prefix}/busy/{self._rank}", str(self._count))
                left = None if reported else self._store.get(f"{self._prefix}/left", 0)
                if left is not None and not self._ended.is_set():
                    reported = True
                    print(f"\nfitwatch: {left}", file=sys.stderr, flush=True)
