"""Signs of life between the processes of a training."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Heartbeat:
    """Signs of life while a process is busy: only then, so that one that hangs is found out.

    The thread that gives them also tells who has left, since this process may be waiting for that
    one inside a training step, where nothing else is heard.

    Args:
        store: Where they are left.
        prefix: What the keys of the session begin with.
        rank: This process's number.
        seconds: From one to the next; nothing is left by who is busy for a shorter time.
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
        """While this process waits for the others it is not busy, wherever it does so."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()

    def _run(self) -> None:
        told = False
        while not self._ended.wait(self._seconds):
            if self._pauses:
                continue
            with suppress(Exception):  # whoever waits is told of it
                if self._depth:
                    self._count += 1
                    self._store.set(f"{self._prefix}/busy/{self._rank}", str(self._count))
                left = None if told else self._store.get(f"{self._prefix}/left", 0)
                if left is not None and not self._ended.is_set():
                    told = True
                    print(f"\nfitwatch: {left}", file=sys.stderr, flush=True)
