"""Messages between the processes of one training, with a deadline."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fitwatch._distributed.heartbeat import Heartbeat
from fitwatch._enable import settings
from fitwatch._warn import warn

# A wait in the store cannot be interrupted, so long waits consist of short ones.
_SLICE = 1.0

# The number of deadlines for which a process may be busy in its callbacks.
_BUSY = 10

# Seconds for the others to read the last message of rank 0: the store may end with its process.
_GRACE = 0.5

# Rounds whose messages are deleted together: calls of a store are slow.
_BLOCK = 16

# The previous exchange, whose last messages are deleted when the next one begins.
_previous: list["Exchange"] = []


class ProcessError(RuntimeError):
    """A process that trains with this one has died, has left, or is at another point.

    Example:
        >>> from fitwatch import distributed
        >>> try:
        ...     pass  # model.fit(...)
        ... except distributed.ProcessError as error:
        ...     print(error)  # which process, and what it did last
    """


class Exchange:
    """Sends the messages of all ranks to all ranks, round by round.

    Every rank posts its message; rank 0 waits for the others and posts all messages together. This
    takes two calls of the store for each rank and round. Rank 0 deletes messages that all have
    read. A rank that leaves posts that in place of its next message.

    The constructor is the first round: rank 0 answers the others with the name of a new session, so
    that messages of an earlier training are not read.

    Args:
        rank: The number of this process.
        size: The number of processes.
        store: Where messages are posted.

    Raises:
        ProcessError: A rank has not come within the deadline.
    """

    def __init__(self, rank: int, size: int, store: Any) -> None:
        self._rank, self._size, self._store = rank, size, store
        self._deadline = settings.deadline
        self._round = 0
        self._is_over = False
        self._prefix = "fitwatch"
        self._prefix = self._open_session(os.urandom(6).hex())
        if rank == 0:
            while _previous:  # all ranks have left it for this one
                _previous.pop().delete()
            _previous.append(self)
        self._heartbeat = Heartbeat(store, self._prefix, rank, self._deadline / 4)

    def gather(self, topic: str, message: Any) -> list[Any]:
        """Exchanges messages; returns those of all ranks, by rank, when all have come.

        Args:
            topic: The point in the training, in words: the same on all ranks.
            message: A JSON value.

        Raises:
            ProcessError: A rank has not come within the deadline, has left, or is at another point.
                All ranks raise it.
        """
        if self._is_over:
            raise ProcessError(f"this process has left the training before {topic}.")
        self._round += 1
        own = {"topic": topic, "message": message}
        try:
            with self._heartbeat.paused():
                answer = self._answer(own) if self._rank == 0 else self._ask(own)
        except BaseException as error:
            self.leave(f"{type(error).__name__}: {error}")
            raise
        if self._rank == 0 and self._round % _BLOCK == 0:
            self._delete(self._round // _BLOCK - 1)  # which all ranks have read
        if "error" in answer:
            self.close()
            raise ProcessError(answer["error"])
        messages: list[Any] = answer["messages"]
        return messages

    def busy(self) -> Heartbeat:
        """A block of work in callbacks, for which the others wait beyond the deadline."""
        return self._heartbeat

    def leave(self, reason: str) -> None:
        """Tells the others that this process has left the training. Never raises."""
        if self._is_over:
            return
        left = f"rank {self._rank} has left the training: {reason}"
        with suppress(Exception):
            self._post(f"{self._prefix}/left", left)
            if self._rank == 0:
                # Answers this round, unless it has an answer, and the next one.
                error = json.dumps({"error": left})
                if self._store.get(self._key("answer"), 0) is None:
                    self._post(self._key("answer"), error)
                self._post(self._key("answer", self._round + 1), error)
                time.sleep(_GRACE)
            self._post(self._key(self._rank, self._round + 1), json.dumps({"left": left}))
        self.close()

    def end(self) -> None:
        """Ends the exchange after a complete training. Never raises.

        Rank 0 usually runs the store: it waits until the others have read its last answer.
        """
        if self._is_over:
            return
        ended = f"rank {self._rank} has left the training: it has ended there."
        last = self._round + 1
        with suppress(Exception):
            if self._rank == 0:
                self._post(self._key("answer", last), json.dumps({"error": ended}))
            self._post(self._key(self._rank, last), json.dumps({"left": ended}))
            until = time.monotonic() + self._deadline
            for rank in range(1, self._size) if self._rank == 0 else ():
                while self._get(self._key(rank, last), _SLICE) is None:
                    if time.monotonic() > until:
                        break
        self.close()

    def close(self) -> None:
        """Ends the exchange without telling the others."""
        self._is_over = True
        self._heartbeat.stop()

    def _open_session(self, own: str) -> str:
        """Agrees on a new session; returns the prefix of its keys."""
        topic = "the beginning of the training"
        if self._rank:
            here = f"fitwatch/here/{self._rank}"
            answer = f"fitwatch/session/{own}"
            self._post(here, own)
            try:
                return self._wait(answer, 0, topic, list)
            finally:
                with suppress(Exception):
                    self._store.delete(here)
                    self._store.delete(answer)
        session = f"fitwatch/{own}"
        ranks = range(1, self._size)

        def missing() -> list[int]:
            return [rank for rank in ranks if self._get(f"fitwatch/here/{rank}", 0) is None]

        until = time.monotonic() + self._deadline
        ids = [self._wait(f"fitwatch/here/{rank}", rank, topic, missing, until) for rank in ranks]
        for rank, other in zip(ranks, ids, strict=True):
            with self._store_errors():
                self._store.delete(f"fitwatch/here/{rank}")  # a later one is a new request
            self._post(f"fitwatch/session/{other}", session)
        return session

    def _answer(self, own: dict[str, Any]) -> dict[str, Any]:
        """Answers a round as rank 0; returns the answer."""
        answer: dict[str, Any]
        topic = own["topic"]
        until = time.monotonic() + self._deadline
        try:
            others = [
                json.loads(self._wait(self._key(rank), rank, topic, self._missing, until))
                for rank in range(1, self._size)
            ]
            answer = self._combine([own, *others])
        except ProcessError as error:
            answer = {"error": str(error)}
        self._post(self._key("answer"), json.dumps(answer))
        if "error" in answer:
            time.sleep(_GRACE)
        return answer

    def _ask(self, own: dict[str, Any]) -> dict[str, Any]:
        """Takes part in a round as another rank; returns the answer of rank 0."""
        self._post(self._key(self._rank), json.dumps(own))
        text = self._wait(self._key("answer"), 0, own["topic"], self._missing)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _combine(self, posted: list[dict[str, Any]]) -> dict[str, Any]:
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

    def _missing(self) -> list[int]:
        """The ranks that have not come to this round; rank 0 is never among them."""
        ranks = range(1, self._size)
        return [rank for rank in ranks if self._get(self._key(rank), 0) is None]

    def _wait(
        self,
        key: str,
        rank: int,
        topic: str,
        missing: Callable[[], list[int]],
        until: float = 0,
    ) -> str:
        """Waits for the message that a rank posts under a key."""
        began = time.monotonic()
        until = until or began + self._deadline
        latest = began + _BUSY * self._deadline
        beats: dict[int, str | None] = {}
        warned = False
        slice_ = min(_SLICE, self._deadline / 8)
        while True:
            text = self._get(key, slice_)
            if text is not None:
                return text
            now = time.monotonic()
            # Rank 0 may itself be waiting for another rank.
            lost = missing() or [rank]
            busy = {one: self._get(f"{self._prefix}/busy/{one}", 0) for one in lost}
            before, beats = beats, busy
            if any(before.get(one, beat) != beat for one, beat in beats.items()):
                until = max(until, now + self._deadline)
            if now >= min(until, latest):
                text = self._get(key, 0)
                if text is not None:
                    return text
                raise self._timeout(lost, topic, now - began, busy=now < until)
            if now - began > self._deadline and not warned:
                warned = True
                warn(f"fitwatch: waiting for {_ranks(lost)}, busy in the callbacks, at {topic}.")

    def _timeout(self, lost: list[int], topic: str, seconds: float, *, busy: bool) -> ProcessError:
        why = (
            "it has been busy in its callbacks for that long"
            if busy
            else "the process has died, it hangs, or it has other callbacks"
        )
        return ProcessError(
            f"{_ranks(lost)} did not come to {topic} within {seconds:.0f} seconds, where rank "
            f"{self._rank} waits: {why}. Every process needs the same callbacks; only rank 0 "
            "writes files. (fitwatch.distributed.configure(deadline=...) gives more time; "
            "fitwatch.distributed.alone() is for a fit() of one process.)"
        )

    def delete(self) -> None:
        """Deletes the remaining messages, once all ranks have read them."""
        for block in range(max(self._round // _BLOCK - 1, 0), (self._round + 1) // _BLOCK + 1):
            self._delete(block)
        with suppress(Exception):
            for key in ("left", *(f"busy/{rank}" for rank in range(self._size))):
                self._store.delete(f"{self._prefix}/{key}")

    def _delete(self, block: int) -> None:
        senders = ("answer", *range(self._size))
        rounds = range(block * _BLOCK, (block + 1) * _BLOCK)
        keys = [self._key(sender, number) for number in rounds for sender in senders]
        with suppress(Exception):  # nothing depends on it
            self._store.delete_folder(f"{self._prefix}/{block}", keys)

    def _key(self, sender: "int | str", number: int | None = None) -> str:
        number = self._round if number is None else number
        return f"{self._prefix}/{number // _BLOCK}/{number}/{sender}"

    def _post(self, key: str, text: str) -> None:
        with self._store_errors():
            self._store.set(key, text)

    def _get(self, key: str, seconds: float) -> str | None:
        with self._store_errors():
            text: str | None = self._store.get(key, seconds)
            return text

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise ProcessError(
                f"the store of the training, which rank 0 runs, cannot be reached: {error}"
            ) from error


def _ranks(ranks: list[int]) -> str:
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
