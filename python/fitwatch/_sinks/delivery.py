"""Delivers blocks to an action, in order and on a thread of its own."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from fitwatch._sinks.block import Block
from fitwatch._warn import warn

Action = Callable[[Block], Any]

# Seconds without a delivered block after which the end of a fit no longer waits for the action.
DEADLINE = 10.0
# Bytes of the blocks that wait.
BOUND = 64 << 20
# Seconds before the next try after the first error in a row, the second one, and so on.
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# How often an error is waited out when the fit ends, and for how many seconds.
LAST_PAUSES, LAST_PAUSE = 3, 1.0


class Rows:
    """How many rows there are in some blocks, and where."""

    def __init__(self, *blocks: Block) -> None:
        self._count = 0
        self._first = self._last = 0
        for block in blocks:
            self.add(block)

    def add(self, block: Block) -> None:
        """Counts the rows of a block that follows the others."""
        if not self._count:
            self._first = int(block["step"][0])
        self._count += block.rows
        self._last = int(block["step"][-1])

    def __bool__(self) -> bool:
        return self._count > 0

    def __str__(self) -> str:
        where = f"steps {self._first} to {self._last}"
        if self._first == self._last:
            where = f"step {self._first}"
        return f"{self._count} row{'s' * (self._count != 1)} ({where})"


class Delivery:
    """Calls an action with each block; a block waits until the action has returned.

    After an error the block is tried again, and those after it wait. Nothing that the action does
    ends the training. The methods are called by the thread that trains.

    Args:
        name: The name of the logger, for warnings.
        action: Called with one block at a time.
        background: Whether it is called on another thread.
    """

    def __init__(self, name: str, action: Action, *, background: bool) -> None:
        self._name = name
        self._action = action
        self._background = background
        self._blocks: deque[Block] = deque()
        self._bytes = 0
        # Guards the attributes below, and tells about every change.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        # Blocks that were delivered.
        self._delivered = 0
        # Whether no more blocks come, and whether the rest was given up.
        self._is_over = self._is_left = False
        self._has_reported = False
        # The warning that is to come.
        self._error: str | None = None
        self._left_out = Rows()

    def put(self, block: Block) -> None:
        """Adds a block, or leaves it out if too many are waiting."""
        self._warn()
        # A block that is larger than the bound is taken when no other waits.
        if self._blocks and self._bytes + block.nbytes > BOUND:
            if not self._left_out:
                warn(
                    f"{self._name}: the action is too slow, or has failed for too long: "
                    f"{BOUND >> 20} MiB of rows are waiting for it. Rows are left out from step "
                    f"{block['step'][0]} on, until it has taken some."
                )
            self._left_out.add(block)
            return
        with self._changed:
            self._blocks.append(block)
            self._bytes += block.nbytes
            self._changed.notify_all()
        if not self._background:
            self._deliver_all()
            self._warn()
        elif self._thread is None:
            # A daemon: an action that hangs must not keep the program from its end.
            self._thread = threading.Thread(
                target=self._run, name=f"fitwatch: {self._name}", daemon=True
            )
            self._thread.start()

    def waiting(self) -> list[Block]:
        """The blocks that are not delivered, in order."""
        with self._changed:
            return list(self._blocks)

    def finish(self) -> None:
        """Delivers what waits; warns about what cannot be delivered."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        interrupted = True
        try:
            if self._thread is None:
                self._try_last()
            else:
                self._wait(self._thread)
            interrupted = False
        finally:  # also after Ctrl-C
            with self._changed:
                self._is_left = True
                left = Rows(*self._blocks)
                self._blocks.clear()
            self._warn()
            self._warn_of_lost(left, interrupted=interrupted)

    def _warn_of_lost(self, left: Rows, *, interrupted: bool) -> None:
        """Warns about the rows that are not delivered."""
        if left:
            why = "the action has raised an error again"
            if interrupted:
                why = "the wait for the action was interrupted"
            elif self._thread is not None and self._thread.is_alive():
                why = f"the action has taken none for {DEADLINE:g} s"
            warn(f"{self._name}: lost {left}: {why}.")
        if self._left_out:
            warn(f"{self._name}: left out {self._left_out}: too many were waiting.")

    def _wait(self, thread: threading.Thread) -> None:
        """Waits for the thread as long as it delivers blocks."""
        delivered = -1
        while thread.is_alive() and delivered != self._delivered:
            delivered = self._delivered
            thread.join(DEADLINE)

    def _run(self) -> None:
        """Delivers blocks until the fit is over."""
        errors = 0
        while not self._is_over:
            with self._changed:
                self._changed.wait_for(lambda: self._blocks or self._is_over)
                block = self._blocks[0] if self._blocks else None
            if block is None or self._is_over:
                break
            errors = 0 if self._deliver(block) else errors + 1
            if errors:
                self._pause(PAUSES[min(errors, len(PAUSES)) - 1])
        self._try_last()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, seconds)

    def _deliver_all(self) -> None:
        """Delivers what waits, up to an error."""
        while self._blocks and self._deliver(self._blocks[0]):
            pass

    def _try_last(self) -> None:
        """Delivers what waits; in the end, a block that is refused holds up no other."""
        pauses = LAST_PAUSES
        for block in self.waiting():
            while not self._is_left and not self._deliver(block) and pauses:
                pauses -= 1
                time.sleep(LAST_PAUSE)

    def _deliver(self, block: Block) -> bool:
        """Calls the action; returns whether it has taken the block."""
        try:
            self._action(block)
        except BaseException as error:
            if not self._background and not isinstance(error, Exception):
                raise  # Ctrl-C
            self._report(block, error)
            return False
        with self._changed:
            if not self._is_left:
                self._blocks.remove(block)
                self._bytes -= block.nbytes
                self._delivered += 1
        return True

    def _report(self, block: Block, error: BaseException) -> None:
        """Notes the first error for a warning."""
        if not self._has_reported:
            self._has_reported = True
            lines = "".join(traceback.format_exception(error))
            self._error = (
                f"{self._name}: the action has raised an error. Its block, {Rows(block)}, is kept "
                f"for another try, and the training goes on.\n{lines}"
            )

    def _warn(self) -> None:
        """Warns about an error, in the thread of the training: a warning names the user's line."""
        error, self._error = self._error, None
        if error is not None:
            warn(error)
