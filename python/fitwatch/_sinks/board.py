"""What the `TensorBoard` callback counts, and the values of batches that it writes."""

import time
from typing import Any, ClassVar

import keras

from fitwatch import _core
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import whole
from fitwatch._engine import readers
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.plan import Form
from fitwatch._engine.step_user import StepUser
from fitwatch._sinks.event_files import EventFiles, run_name
from fitwatch._sinks.tf_summary import UserSummaries


class BoardState(RunState):
    """The counts of a run, and the sizes of its files."""

    fields: ClassVar = {
        "_global_train_batch": Field(whole),
        "_global_test_batch": Field(whole),
        "_next_epoch": Field(whole, "_fitwatch.next_epoch"),
    }

    def mark(self, callback: Any) -> Any:
        own = callback._fitwatch
        own.drain()
        return own.files.mark()

    def go_on(self, callback: Any, mark: Any) -> None:
        """Removes what was written after a mark."""
        if mark is not None:
            callback._fitwatch.files.cut(mark)


class Board(Attachment):
    """The attachment of `TensorBoard`.

    Attributes:
        files: The event files.
        train_batches: Counts the training batches: the step of batch values.
        test_batches: The same for evaluations.
        user_summaries: The writers that are the default of `tf.summary` at the moment.
        next_epoch: The number of the next epoch in the files.
        epoch: The number of the epoch in the files.
        epoch_offset: The difference between that and the epoch's own number; None before the first
            epoch.
        is_set_up: Whether the files belong to the run that begins.
    """

    left_out = Attachment.left_out | {"files", "user_summaries"}
    copied = frozenset({"train_batches", "test_batches"})

    files: EventFiles
    epoch = 0
    next_epoch = 0
    epoch_offset: int | None = None
    is_set_up = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = StepUser()
        self.state = BoardState()
        self.train_batches, self.test_batches = _core.Counter(), _core.Counter()
        self.user_summaries: list[UserSummaries] = []
        self._tags: dict[str, str] = {}

    def new_files(self, log_dir: str) -> None:
        """Writes to new files from now on."""
        self.files = EventFiles(log_dir, run_name(self.siblings()), writes=not self.is_silent)
        self.user_summaries = []

    def trained_before(self, callback: Any) -> int:
        """The steps that the model has been trained for, by its optimizer's iterations."""
        iterations = self.iterations(callback)
        if not iterations:
            return 0
        gathered = getattr(callback.model.optimizer, "gradient_accumulation_steps", None) or 1
        batches = iterations * gathered
        single = self.steps.is_wanted(callback)
        at_a_time = 1 if single else callback.model.steps_per_execution
        return -(-batches // int(at_a_time))

    def iterations(self, callback: Any) -> int | None:
        """The optimizer's iterations."""
        optimizer = getattr(callback.model, "optimizer", None)
        iterations = getattr(optimizer, "iterations", None)
        return None if iterations is None else int(keras.ops.convert_to_numpy(iterations))

    def event(self, callback: Any, kind: str, text: str) -> None:
        """Writes an event of the training as a text."""
        if callback.write_events:
            batches = callback.update_freq != "epoch"
            step = self.train_batches.count if batches else self.epoch
            event = _core.text_event(f"fitwatch/{kind}", text, step, time.time())
            self.files.add_event("train", event)

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Writes the values of a batch, if they are due."""
        self.drain()
        if callback.update_freq == "epoch" or not self.files.writes:
            return
        timed = callback.write_steps_per_second
        seconds = time.time() - callback._batch_start_time if timed else 0.0
        due = self.feed(callback).push(batch, logs, self.write, readers.reader())
        if due and timed:
            step = self.train_batches.count
            self.files.add_scalar("train", "batch_steps_per_second", 1.0 / max(seconds, 1e-9), step)

    def form_train_begin(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_begin`: it counts."""
        if callback._should_trace or _times_batches(callback):
            return NotImplemented
        return self.train_batches, callback.on_train_batch_begin

    def form_train_end(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`: it writes."""
        if callback._should_trace or _times_batches(callback):
            return NotImplemented
        if callback.update_freq == "epoch" or self.is_silent:
            return None
        if not self.attach(recorder):
            return NotImplemented
        if self.files.is_listened_to("train"):
            return NotImplemented
        return self.feed(callback), self.write

    def form_test_begin(self, callback: Any, recorder: _core.Recorder) -> Form:
        """The compiled form of `on_test_batch_begin`: it counts."""
        return self.test_batches, callback.on_test_batch_begin

    def feed(self, callback: Any) -> _core.Feed:
        """The core's part of the values of batches."""
        file = self.files.file("train")
        own = file if isinstance(file, _core.EventFile) else None
        every = callback.update_freq
        return self.steps.feed(callback, _core.Scalars, self.train_batches, every, own, "batch_")

    def see_validation(self) -> None:
        """Writes the metrics of a validation, at the step that a batch of the training has."""
        joined = after_batches(self.callback_list)
        if joined is None:
            return
        self.drain()
        for name, value in joined.validations.values.items():
            tag = f"batch_{name.removeprefix('val_')}"
            self.files.add_scalar("validation", tag, value, self.train_batches.count)
        self.files.request_flush()

    def write(self, step: int, logs: dict[str, Any]) -> None:
        """Writes values that the core cannot handle."""
        for name, value in logs.items():
            tag = self._tags.get(name) or self._tags.setdefault(name, f"batch_{name}")
            self.files.add_scalar("train", tag, value, step)

    def flush(self) -> None:
        self.files.flush()

    def abandon(self, callback: Any, *, fit: bool, interrupted: bool) -> None:
        super().abandon(callback, fit=fit, interrupted=interrupted)
        if self.nested.fitting:  # an evaluation inside a fit that goes on
            while len(self.user_summaries) > 1:
                callback._pop_writer()
            return
        if callback._is_tracing:
            callback._stop_trace()
        while self.user_summaries:
            callback._pop_writer()
        self.files.close()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.user_summaries = []


def _times_batches(callback: Any) -> bool:
    return bool(callback.write_steps_per_second) and callback.update_freq != "epoch"
