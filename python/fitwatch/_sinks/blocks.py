"""Collects rows in blocks, and delivers them: the private part of `BlockLogger`."""

import math
import os
import time
from contextlib import suppress
from typing import Any

import numpy as np

from fitwatch import _core
from fitwatch._engine import readers
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.missing_metric import report_missing
from fitwatch._engine.probes import LossProbe, Probe
from fitwatch._engine.step_kinds import Kind
from fitwatch._keras import backend, learning_rate
from fitwatch._sinks.at_exit import call_at_exit
from fitwatch._sinks.block import Block
from fitwatch._sinks.block import Kind as BlockKind
from fitwatch._sinks.blocks_state import BlocksState
from fitwatch._sinks.column_steps import ColumnSteps
from fitwatch._sinks.delivery import Delivery
from fitwatch._sinks.tracker import Tracker
from fitwatch._warn import warn

# Those whose fit has not ended. A list of Keras's does not tell them about an exception; then
# nothing else may hold them until the program ends.
_unfinished: set["Blocks"] = set()


class BlockSteps(ColumnSteps):
    """The step columns of blocks: those that are named, or the loss and what others ask for."""

    def kinds(self, callback: Any) -> Kind:
        return Kind.ALL

    def probes(self, callback: Any) -> list[Probe]:
        return [LossProbe()] if callback.columns is None else super().probes(callback)


class Blocks(Attachment):
    """The attachment of `BlockLogger`.

    Attributes:
        kept: The blocks that a backup says are not delivered.
    """

    left_out = Attachment.left_out | {"_sink", "_delivery", "_tracker", "_process"}

    # Of the fit.
    _sink: _core.Blocks | None = None
    _delivery: Delivery | None = None
    _tracker: Tracker | None = None
    _process = os.getpid()
    _has_reported = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = BlockSteps()
        self.state = BlocksState()
        self.kept: list[Block] = []

    def wants_validations(self, callback: Any) -> bool:
        return True

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.detach()
        self.finish(failed=True)  # a fit that has ended without a hook
        self.steps.begin(callback)
        self._has_reported = False
        if not self.is_silent:
            joined, columns = after_batches(self.callback_list), callback.columns
            self._sink = _core.Blocks(
                None if joined is None else joined.count,
                callback.every,
                math.inf if callback.seconds is None else callback.seconds,
                columns if isinstance(columns, list) else None,
            )

    def train_begin(self, callback: Any) -> None:
        """Begins to deliver, from the rows on that a backup has."""
        if self._sink is None:
            return
        action = callback.action
        if isinstance(action, Tracker):
            action.begin(callback)
            self._tracker = action
        delivery = Delivery(type(callback).__name__, action, background=callback.background)
        self._delivery = delivery
        self._process = os.getpid()
        _unfinished.add(self)
        call_at_exit(self, "finish")
        self.keep(self.kept)

    def keep(self, blocks: list[Block]) -> None:
        """Delivers the blocks of a backup, once training begins."""
        self.kept = blocks
        if self._delivery is not None:
            for block in blocks:
                self._delivery.put(block)
            self.kept = []

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        self.drain()
        if self._sink is not None:
            self._sink.epoch = epoch

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Adds the rows of the batches that a call has trained."""
        if self._sink is not None:
            self.drain()
            self._feed(callback).push(batch, logs, self._deliver, readers.reader())

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        if self.is_silent:
            return None
        if self._sink is None or not self.attach(recorder):
            return NotImplemented
        return self._feed(callback), self._deliver

    def _feed(self, callback: Any) -> _core.Feed:
        return self.steps.feed(callback, self._sink)

    def _deliver(self, *_: Any) -> None:
        """Delivers the rows of batches that there are."""
        if self._sink is not None and self._delivery is not None and len(self._sink):
            self._delivery.put(_block_of(self._sink.take()))

    def flush(self) -> None:
        """Delivers the rows of the batches so far, without waiting for them."""
        self.drain()
        self._deliver()

    def see_validation(self, batch: int) -> None:
        """Delivers the metrics of a validation."""
        joined = after_batches(self.callback_list)
        if joined is not None:
            validations = joined.validations
            self._deliver_row("validation", batch, validations.epoch, validations.values)

    def end_epoch(self, callback: Any, epoch: int, logs: dict[str, Any]) -> None:
        """Delivers the logs of an epoch."""
        sink = self._sink
        if sink is None:
            return
        joined = after_batches(self.callback_list)
        values = {**_rates(callback), **logs}
        step = sink.last_step if joined is None else joined.count.seen - 1
        self._deliver_row("epoch", max(step, 0), epoch, values)
        sink.epoch = epoch + 1  # in a loop that has no `on_epoch_begin`
        missing = sink.missing()
        if missing and not self._has_reported:
            self._has_reported = True
            taken = [] if self.steps.columns is None else self.steps.columns.names
            report_missing(type(callback).__name__, missing, {**logs, **dict.fromkeys(taken)})

    def _deliver_row(self, kind: BlockKind, step: int, epoch: int, logs: dict[str, Any]) -> None:
        """Delivers one row, after those of the batches before it."""
        self.flush()
        numbers = {str(name): backend.to_number(value) for name, value in logs.items()}
        columns = {name: [value] for name, value in numbers.items() if isinstance(value, float)}
        if self._delivery is not None:
            self._delivery.put(Block(kind, [step], [epoch], [time.time()], columns))

    def waiting(self) -> list[Block]:
        """The blocks that are not delivered, and one of the rows that are to follow."""
        if self._delivery is None or self._sink is None:
            return self.kept
        self.drain()
        rows = [_block_of(self._sink.rows())] if len(self._sink) else []
        return [*self._delivery.waiting(), *rows]

    def train_end(self, callback: Any) -> None:
        self.drain()
        self.finish(failed=False)

    def close(self, callback: Any, *, interrupted: bool) -> None:
        self.drain()
        self.finish(failed=True)

    def finish(self, *, failed: bool = True) -> None:
        """Delivers everything, and ends the use of a tracker."""
        _unfinished.discard(self)
        if self._process != os.getpid():  # in a child of a fork: the rows are the parent's
            self._sink = self._delivery = self._tracker = None
            return
        delivery, tracker = self._delivery, self._tracker
        try:
            self._deliver()
            if delivery is not None:
                delivery.finish()
        finally:  # also after Ctrl-C
            self._sink = self._delivery = self._tracker = None
            if tracker is not None:
                try:
                    tracker.end(failed=failed)
                except Exception as error:
                    warn(f"{type(tracker).__name__}: the run could not be ended: {error!r}")


def _block_of(rows: tuple[bytes, bytes, bytes, list[tuple[str, bytes]]]) -> Block:
    """A block of the rows that the core has collected."""
    steps, epochs, wall_times, columns = rows
    return Block(
        "batch",
        np.frombuffer(steps, np.int64),
        np.frombuffer(epochs, np.int64),
        np.frombuffer(wall_times, np.float64),
        {name: np.frombuffer(values, np.float64) for name, values in columns},
    )


def _rates(callback: Any) -> dict[str, Any]:
    """The learning rates of the model's optimizer."""
    rates: dict[str, Any] = {}
    with suppress(Exception):  # an optimizer of the user's may have none
        learning_rate.log_rates(rates, callback.model.optimizer)
    return rates
