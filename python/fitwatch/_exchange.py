"""Messages between the processes of one training, with a deadline."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fitwatch import _settings

# A wait of the engine's cannot be interrupted: it is made of short ones.
_SLICE = 1.0

_sessions = itertools.count()


class ProcessError(RuntimeError):
    """A process that trains with this one has died, has left, or is not where it should be."""


class Exchange:
    """Brings the messages of all ranks to all ranks, round by round.

    Every rank posts its message; rank 0 waits for those of the others, and posts all of them
    together: two messages for each rank and round, whatever their number. What was read by
    everybody is deleted. A rank that leaves says so where its next message would be.

    Args:
        rank: This process's number.
        size: How many there are.
        store: Where messages are left.
    """

    def __init__(self, rank: int, size: int, store: Any) -> None:
        self._rank, self._size, self._store = rank, size, store
        self._deadline = _settings.deadline
        # All ranks have begun as many trainings.
        self._prefix = f"fitwatch/{next(_sessions)}"
        self._round = 0
        self._is_over = False
        self._beats = _Beats(store, f"{self._prefix}/busy/{rank}", self._deadline / 4)

    def gather(self, topic: str, message: Any) -> list[Any]:
        """The messages of all ranks, by rank; comes back when all are there.

        Args:
            topic: What it is about, in words. All ranks have to be at the same.
            message: A value that JSON knows.

        Raises:
            ProcessError: A rank has not come within the deadline, or has left, or is somewhere
                else; raised on every rank.
        """
        self._round += 1
        text = json.dumps({"topic": topic, "message": message})
        try:
            self._set(self._key(self._rank), text)
            answer = self._answer(topic) if self._rank == 0 else self._wait("answer", topic)
        except BaseException:
            self.close()
            raise
        # Everybody has read what came before.
        for sender in (self._rank, "answer") if self._rank == 0 else (self._rank,):
            self._delete(sender, self._round - 1)
        if "error" in answer:
            self.close()
            raise ProcessError(answer["error"])
        messages: list[Any] = answer["messages"]
        return messages

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While this process is at work in its callbacks, the others wait beyond the deadline."""
        with self._beats:
            yield

    def leave(self, reason: str) -> None:
        """Tells the others that this process comes to no other round. Never raises."""
        if self._is_over:
            return
        self._round += 1
        left = f"rank {self._rank} has left the training: {reason}"
        with suppress(Exception):
            if self._rank == 0:
                self._set(self._key("answer"), json.dumps({"error": left}))
            self._set(self._key(self._rank), json.dumps({"left": left}))
        self.close()

    def end(self) -> None:
        """Ends a training that has come to its end. Never raises.

        Rank 0 keeps the store, as a rule: it stays until the others have read its last answer.
        """
        others = [] if self._is_over or self._rank else range(1, self._size)
        self.leave("it has ended there.")
        end = time.monotonic() + self._deadline
        with suppress(ProcessError):
            for rank in others:
                while self._get(self._key(rank), _SLICE) is None and time.monotonic() < end:
                    pass

    def close(self) -> None:
        """Ends it, without a word."""
        self._is_over = True
        self._beats.stop()

    def _answer(self, topic: str) -> dict[str, Any]:
        """What rank 0 tells the others."""
        answer: dict[str, Any]
        try:
            posted = [self._wait(rank, topic) for rank in range(self._size)]
            answer = self._put_together(posted)
        except ProcessError as error:
            answer = {"error": str(error)}
        self._set(self._key("answer"), json.dumps(answer))
        return answer

    def _put_together(self, posted: list[dict[str, Any]]) -> dict[str, Any]:
        for rank, one in enumerate(posted):
            if "left" in one:
                return {"error": one["left"]}
            if one["topic"] != posted[0]["topic"]:
                return {
                    "error": f"rank {rank} is at {one['topic']}, and rank 0 at "
                    f"{posted[0]['topic']}: every process needs the same callbacks, in the same "
                    "order, and as many batches and epochs."
                }
        return {"messages": [one["message"] for one in posted]}

    def _wait(self, sender: "int | str", topic: str) -> dict[str, Any]:
        """What somebody has posted in this round."""
        rank = 0 if sender == "answer" else sender
        end = time.monotonic() + self._deadline
        beat = None
        while True:
            left = end - time.monotonic()
            text = self._get(self._key(sender), min(max(left, 0.001), _SLICE))
            if text is not None:
                posted: dict[str, Any] = json.loads(text)
                return posted
            if left > 0:
                continue
            before, beat = beat, self._get(f"{self._prefix}/busy/{rank}", 0)
            if beat is None or beat == before:
                raise self._lost(topic)
            end = time.monotonic() + self._deadline

    def _lost(self, topic: str) -> ProcessError:
        lost = [rank for rank in range(self._size) if self._get(self._key(rank), 0) is None]
        if not lost:
            lost = [0]  # it has come, and has not answered
        ranks = f"rank {lost[0]}" if len(lost) == 1 else f"ranks {', '.join(map(str, lost))}"
        return ProcessError(
            f"{ranks} did not come to {topic} within {self._deadline:g} seconds, where rank "
            f"{self._rank} waits: the process has died, it hangs, or it has other callbacks. Every "
            "process needs the same ones: rank 0 alone writes. "
            "(fitwatch.distributed.configure(deadline=...) gives more time.)"
        )

    def _key(self, sender: "int | str", number: int | None = None) -> str:
        return f"{self._prefix}/{self._round if number is None else number}/{sender}"

    def _set(self, key: str, text: str) -> None:
        with self._reached():
            self._store.set(key, text)

    def _get(self, key: str, seconds: float) -> str | None:
        with self._reached():
            text: str | None = self._store.get(key, seconds)
            return text

    def _delete(self, sender: "int | str", number: int) -> None:
        if number:
            with self._reached():
                self._store.delete(self._key(sender, number))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise ProcessError(
                f"the store of the training, which rank 0 keeps, cannot be reached: {error}"
            ) from error


class _Beats:
    """Signs of life, while a process is busy: only then, so that one that hangs is found out.

    Args:
        store: Where they are left.
        key: Under which key.
        seconds: From one to the next; nothing is left by who is busy for a shorter time.
    """

    def __init__(self, store: Any, key: str, seconds: float) -> None:
        self._store, self._key, self._seconds = store, key, seconds
        self._depth = self._count = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._depth += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fitwatch: busy", daemon=True)
            self._thread.start()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._count and not self._depth:
                self._count = 0
                with suppress(Exception):  # whoever waits is told of it
                    self._store.delete(self._key)

    def stop(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            with self._lock, suppress(Exception):
                if self._depth:
                    self._count += 1
                    self._store.set(self._key, str(self._count))
