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

# A wait of the engine's cannot be interrupted: it is made of short ones.
_SLICE = 1.0

# How many deadlines a process may be busy in its callbacks.
_BUSY = 10

# Seconds in which the others read what rank 0 says last, before it ends, perhaps, and the store.
_GRACE = 0.5

# Rounds whose messages are deleted together: each call of a store takes its time.
_BLOCK = 16

# The last exchange, of which some messages are left until the next one begins.
_previous: list["Exchange"] = []


class ProcessError(RuntimeError):
    """A process that trains with this one has died, has left, or is not where it should be.

    Example:
        >>> from fitwatch import distributed
        >>> try:
        ...     pass  # model.fit(...)
        ... except distributed.ProcessError as error:
        ...     print(error)  # which process, and what it did last
    """


class Exchange:
    """Brings the messages of all ranks to all ranks, round by round.

    Every rank posts its message; rank 0 waits for those of the others, and posts all of them
    together: two calls of the store for each rank and round, whatever their number. Rank 0 deletes
    what was read by everybody. A rank that leaves says so where its next message would be.

    Making one is the first round: rank 0 answers those that have come with the name of a session,
    so that nothing of an earlier training is read.

    Args:
        rank: This process's number.
        size: How many there are.
        store: Where messages are left.

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
            while _previous:  # everybody is here, and not there any more
                _previous.pop().delete()
            _previous.append(self)
        self._heartbeat = Heartbeat(store, self._prefix, rank, self._deadline / 4)

    def gather(self, topic: str, message: Any) -> list[Any]:
        """The messages of all ranks, by rank; comes back when all are there.

        Args:
            topic: What it is about, in words. All ranks have to be at the same.
            message: A value that JSON knows.

        Raises:
            ProcessError: A rank has not come within the deadline, or has left, or is somewhere
                else. The others are told.
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
            self._delete(self._round // _BLOCK - 1)  # everybody has read that
        if "error" in answer:
            self.close()
            raise ProcessError(answer["error"])
        messages: list[Any] = answer["messages"]
        return messages

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While this process is at work in its callbacks, the others wait beyond the deadline."""
        with self._heartbeat:
            yield

    def leave(self, reason: str) -> None:
        """Tells the others that this process comes to no other round. Never raises."""
        if self._is_over:
            return
        left = f"rank {self._rank} has left the training: {reason}"
        with suppress(Exception):
            self._post(f"{self._prefix}/left", left)
            if self._rank == 0:
                # Of this round, if it has none; and of the next one.
                error = json.dumps({"error": left})
                if self._store.get(self._key("answer"), 0) is None:
                    self._post(self._key("answer"), error)
                self._post(self._key("answer", self._round + 1), error)
                time.sleep(_GRACE)
            self._post(self._key(self._rank, self._round + 1), json.dumps({"left": left}))
        self.close()

    def end(self) -> None:
        """Ends a training that has come to its end. Never raises.

        Rank 0 keeps the store, as a rule: it stays until the others have read its last answer.
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
        """Ends it, without a word."""
        self._is_over = True
        self._heartbeat.stop()

    def _open_session(self, own: str) -> str:
        """The prefix of all keys of the session."""
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
        session_requests = [
            self._wait(f"fitwatch/here/{rank}", rank, topic, missing, until) for rank in ranks
        ]
        for rank, other in zip(ranks, session_requests, strict=True):
            with self._store_errors():
                self._store.delete(f"fitwatch/here/{rank}")  # whoever comes again is another one
            self._post(f"fitwatch/session/{other}", session)
        return session

    def _answer(self, own: dict[str, Any]) -> dict[str, Any]:
        """What rank 0 tells the others."""
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
        """What rank 0 tells this one."""
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
        """The ranks that have not come to this round; whether rank 0 has cannot be seen."""
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
        """What a rank posts under a key."""
        began = time.monotonic()
        until = until or began + self._deadline
        latest = began + _BUSY * self._deadline
        beats: dict[int, str | None] = {}
        told = False
        slice_ = min(_SLICE, self._deadline / 8)
        while True:
            text = self._get(key, slice_)
            if text is not None:
                return text
            now = time.monotonic()
            # Rank 0 may be waiting for another one itself.
            lost = missing() or [rank]
            busy = {one: self._get(f"{self._prefix}/busy/{one}", 0) for one in lost}
            before, beats = beats, busy
            if any(before.get(one, beat) != beat for one, beat in beats.items()):
                until = max(until, now + self._deadline)
            if now >= min(until, latest):
                text = self._get(key, 0)
                if text is not None:
                    return text
                raise self._lost_error(lost, topic, now - began, busy=now < until)
            if now - began > self._deadline and not told:
                told = True
                warn(f"fitwatch: waiting for {_ranks(lost)}, busy in the callbacks, at {topic}.")

    def _lost_error(
        self, lost: list[int], topic: str, seconds: float, *, busy: bool
    ) -> ProcessError:
        why = (
            "it has been busy in its callbacks for that long"
            if busy
            else "the process has died, it hangs, or it has other callbacks"
        )
        return ProcessError(
            f"{_ranks(lost)} did not come to {topic} within {seconds:.0f} seconds, where rank "
            f"{self._rank} waits: {why}. Every process needs the same callbacks: rank 0 alone "
            "writes. (fitwatch.distributed.configure(deadline=...) gives more time; a fit() of one "
            "process goes under fitwatch.distributed.alone().)"
        )

    def delete(self) -> None:
        """Deletes what is left of it, once nobody reads it any more."""
        for block in range(max(self._round // _BLOCK - 1, 0), (self._round + 1) // _BLOCK + 1):
            self._delete(block)
        with suppress(Exception):
            for key in ("left", *(f"busy/{rank}" for rank in range(self._size))):
                self._store.delete(f"{self._prefix}/{key}")

    def _delete(self, block: int) -> None:
        senders = ("answer", *range(self._size))
        rounds = range(block * _BLOCK, (block + 1) * _BLOCK)
        keys = [self._key(sender, number) for number in rounds for sender in senders]
        with suppress(Exception):  # it is but tidy
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
                f"the store of the training, which rank 0 keeps, cannot be reached: {error}"
            ) from error


def _ranks(ranks: list[int]) -> str:
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
