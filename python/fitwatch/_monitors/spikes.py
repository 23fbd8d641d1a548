"""The private part of `SpikeDetection`: what is done about a spike."""

import math
from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._checkpoint.rollback import Rollback
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import (
    from_json,
    optional_number,
    optional_whole,
    whole,
)
from fitwatch._core import Decision
from fitwatch._distributed import rank_aware
from fitwatch._distributed.world import print_message
from fitwatch._engine.after_batch import AfterBatch, Phase
from fitwatch._engine.attachment import attachment_of
from fitwatch._engine.hooks_around import wrap_hooks
from fitwatch._engine.plan import Form, recorder_of
from fitwatch._engine.step_kinds import LARGER_IS_BETTER, is_health
from fitwatch._keras import trainer
from fitwatch._keras.metric_direction import is_larger_better
from fitwatch._monitors.batch_unit import BatchMonitor


def _spikes(value: Any) -> list[dict[str, Any]]:
    """A list of spikes."""
    names = {"batch", "value", "expected", "action"}
    if not isinstance(value, list) or not all(
        isinstance(spike, dict) and spike.keys() == names for spike in value
    ):
        raise ValueError("a list of dicts of batch, value, expected and action")
    return [from_json(spike) for spike in value]


def _batches(value: Any) -> list[int]:
    """A list of batches."""
    if not isinstance(value, list):
        raise ValueError("a list of whole numbers")
    return [whole(batch) for batch in value]


def _reference(value: Any) -> tuple[int, float, float]:
    """The number, mean and deviation of the values so far."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError("three numbers")
    mean, deviation = (optional_number(one) for one in value[1:])
    if mean is None or deviation is None or not math.isfinite(mean + deviation) or deviation < 0:
        raise ValueError("three numbers")
    return whole(value[0]), mean, deviation


class SpikeState(RunState):
    """The state of `SpikeDetection`."""

    fields: ClassVar = {
        "spikes": Field(_spikes),
        "_fitwatch_rollbacks": Field(_batches, "_fitwatch.rollbacks"),
        "_fitwatch_last": Field(optional_whole, "_fitwatch.last"),
        "_fitwatch_seen": Field(whole, "_fitwatch.batches.seen"),
        "_fitwatch_reference": Field(_reference, "_fitwatch.core.reference"),
    }
    rewound = frozenset({"_fitwatch_reference"})

    def begin_inside(self, callback: Any, trained: int) -> None:
        callback._fitwatch.batches.begin_inside(trained)


class Spiking(BatchMonitor, AfterBatch):
    """The private part of `SpikeDetection`.

    Attributes:
        rollback: Keeps snapshots and goes back to them; None with another action.
        rollbacks: The batches after which the training went back.
        last: The batch of the last spike, also of one that is not listed.
    """

    phase = Phase.ROLL_BACK
    brings_spikes = True

    copied = BatchMonitor.copied | {"rollbacks"}

    def __init__(self) -> None:
        super().__init__(_core.Spikes())
        self.state = SpikeState()
        self.batches.unit = "batch"
        self.rollback: Rollback | None = None
        self.start_over()

    def start_over(self) -> None:
        """Forgets everything."""
        self.core.reset()
        self.rollbacks: list[int] = []
        self.last: int | None = None
        # Whether the value of the last spike was not finite.
        self._was_finite = True
        self._has_stopped = False
        self._is_judged = False

    def metrics(self, callback: Any) -> list[str]:
        return [callback.monitor]

    def is_needed(self, callback: Any) -> bool:
        return self.rollback is not None

    def begin(self, callback: Any) -> None:
        """Called when training begins.

        Raises:
            ValueError: The training cannot be rolled back as the arguments say.
        """
        self.missing_reported = False
        self.batches.begin(callback, prompt=False)
        self.start_over()
        if self.rollback is None:
            return
        self.rollback.begin(callback)
        callback_list = self.callback_list
        if callback_list is not None and recorder_of(callback_list) is None:
            before = {"on_epoch_end": lambda epoch, logs=None: self.end_epoch(callback)}
            wrap_hooks(callback_list, callback, before=before, failed=lambda error: None)

    def prepare(self, callback: Any) -> None:
        if self._is_judged:
            return
        self._is_judged = True
        name = callback.monitor
        if callback.mode != "auto":
            larger_is_better = callback.mode == "max"
        elif is_health(name):
            larger_is_better = name in LARGER_IS_BETTER
        else:
            larger_is_better = name != "loss" and is_larger_better(callback, name)
        self.core.larger_is_better = larger_is_better

    def act(self, callback: Any, decision: Decision, batch: int) -> None:
        found = self.core.found
        if found is None:
            return
        value, expected = found
        follows = self.last is not None and batch == self.last + 1
        goes_on = follows and not (self._was_finite or math.isfinite(value))
        is_new = self.last is None or batch - self.last > callback.window
        self.last, self._was_finite = batch, math.isfinite(value)
        if goes_on:
            return  # such values tend to last: the list would grow with the batches
        spike = {"batch": batch, "value": value, "expected": expected, "action": "report"}
        callback.spikes.append(spike)
        seen = f"{callback.monitor} {value:g}"
        if expected is not None:
            seen += f", expected {expected:g}"
        where = self.batches.where(batch)
        self.announce("spike", f"{where}: {seen}")
        self.announce_spike(self.batches.within_epoch(batch), value)
        if callback.action == "stop" and not self._has_stopped:
            self._has_stopped = True
            spike["action"] = "stop"
            self.stop(callback, f"a spike ({seen}) at {where[0].lower()}{where[1:]}")
        elif self.rollback is not None:
            self.rollback.ask(batch)
        if callback.action == "report" and is_new:
            print_message(f"{where}: spike, {seen}")

    def stop(self, callback: Any, reason: str) -> None:
        """Stops the training."""
        callback.stop_reason = reason
        print_message(f"Stopping the training: {reason}")
        rank_aware.stop_training(callback, reason)

    # Going back.

    def after_batch(self, callback: Any, count: _core.BatchCount) -> Form | None:
        if self.rollback is None:
            return None
        return self.rollback.due_after(count), lambda batch, logs: self.end_batch(callback, batch)

    def end_batch(self, callback: Any, batch: int) -> None:
        """Goes back after a batch if there was a spike, or else takes a snapshot."""
        rollback = self.rollback
        if rollback is None:
            return
        self._drain_all()
        rollback.ask_again(asked=False)
        trained = self.batches.trained(batch)
        if rollback.asked is None:
            rollback.take(callback, trained, len(self.rollbacks), self.batches.epoch)
        elif self._waits(trained):
            rollback.ask_again()
        else:
            self.go_back(callback, trained)

    def _waits(self, trained: int) -> bool:
        """Whether to go back later.

        Always as many batches after the spike as a value may be late, or the weights at the end
        would depend on the speed of the device. And not while spikes go on: the batches that cause
        them are better skipped all at once.
        """
        watch, rollback = self.batches.watch, self.rollback
        if watch is None or rollback is None or rollback.asked is None or watch.holds:
            return False
        recorder = recorder_of(self.callback_list)
        if recorder is not None and trained - rollback.asked <= recorder.lag:
            return True
        return self.last == watch.seen - 1 and trained - rollback.asked <= Rollback.LONGEST

    def end_epoch(self, callback: Any) -> None:
        """Goes back before the end of an epoch, if there was a spike."""
        self._drain_all()
        if self.rollback is not None and self.rollback.asked is not None:
            self.go_back(callback, self.batches.seen, inside=False)

    def add_to_logs(self, logs: Any) -> None:
        if self.rollback is not None and self.rollback.asked is not None:
            own = (one for one in self.siblings() if attachment_of(one) is self)
            self.end_epoch(next(own))

    def go_back(self, callback: Any, trained: int, *, inside: bool = True) -> None:
        """Goes back to a snapshot, after this many batches."""
        rollback = self.rollback
        if rollback is None or rollback.asked is None:
            return
        first, rollback.asked = rollback.asked, None
        if trainer.model_of(callback).stop_training:
            return  # whatever stops it has the last word
        snapshot = rollback.before(first)
        if snapshot is None:
            print_message(
                f"{self.batches.where(first)}: spike; no snapshot is old enough to go back to"
            )
            return
        recent = [one for one in self.rollbacks if trained - one <= callback.window]
        self.rollbacks.append(trained)
        epoch = self.batches.epoch if inside else None
        rollback.go_back(callback, snapshot, trained, len(self.rollbacks), epoch)
        stops = len(recent) >= callback.max_rollbacks
        for spike in callback.spikes:
            if spike["batch"] >= first and spike["action"] == "report":
                spike["action"] = "stop" if stops else "rollback"
        text = (
            f"the state after {snapshot.trained} batches, because of a spike at batch {first + 1}"
        )
        self.announce("rollback", f"after {trained} batches to {text}")
        print_message(f"After {trained} batches: rolled back to {text}")
        if stops:
            self.stop(
                callback,
                f"a spike after {len(recent)} rollbacks in {callback.window} batches",
            )

    def _drain_all(self) -> None:
        recorder = recorder_of(self.callback_list)
        if recorder is not None:
            recorder.drain()

    def train_end(self, callback: Any) -> None:
        super().train_end(callback)
        if self.rollback is not None:
            self.rollback.end()
