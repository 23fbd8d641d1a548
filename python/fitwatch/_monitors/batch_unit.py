"""Monitors that count in batches."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from fitwatch import _core
from fitwatch._core import Decision
from fitwatch._distributed import rank_aware
from fitwatch._distributed.averages import mean
from fitwatch._engine import readers
from fitwatch._engine.attachment import Part
from fitwatch._engine.plan import Form
from fitwatch._engine.probes import LossProbe, MetricProbe, Probe
from fitwatch._engine.step_kinds import Kind, is_health
from fitwatch._engine.step_user import StepUser
from fitwatch._keras import trainer
from fitwatch._monitors.metric import MonitorAttachment

# How many batches of a call have step columns, and the values of each metric: one per batch from a
# step column (None for a batch that has none), one after the last batch from the logs, or none.
Values = tuple[int, list[list[float | None]]]


class MonitorSteps(StepUser):
    """The values that a monitor's metrics have for each batch."""

    def kinds(self, callback: Any) -> Kind:
        return Kind.ALL

    def probes(self, callback: Any) -> list[Probe]:
        own = callback._fitwatch
        if own.batches.unit != "batch":
            return []
        # The loss also tells how many batches a call trained.
        others = [name for name in own.metrics(callback) if name != "loss" and not is_health(name)]
        return [LossProbe(), MetricProbe()] if others else [LossProbe()]

    def loud(self, callback: Any) -> Kind:
        metrics = callback._fitwatch.metrics(callback)
        kinds = super().loud(callback)
        return kinds if "loss" in metrics else kinds & ~Kind.LOSS

    def is_wanted(self, callback: Any) -> bool:
        return bool(self.probes(callback))


class BatchUnit(Part):
    """What a monitor does with batches.

    The core receives the values of every batch and decides; the monitor's `act` carries decisions
    out. Batches are counted from 0 and across epochs.

    Attributes:
        unit: `"epoch"`, `"batch"` or `"validation"`, as the constructor was told.
        max_time: Seconds after which the training ends; None for no end.
        watch: The core's part, in a fit.
        before: Batches and seconds, outside a fit.
    """

    left_out = frozenset({"watch"})

    unit = "epoch"
    max_time: float | None = None
    watch: _core.Watch | None = None
    before: tuple[int, float] = (0, 0.0)
    # The number of the epoch's first batch.
    _first = 0
    # Batches of the epoch that begins which were trained already.
    _trained = 0
    # Values that are judged once all processes have exchanged theirs.
    _held: Sequence[Values] = ()

    def is_idle(self) -> bool:
        """Whether the monitor ignores batches."""
        return self.unit != "batch" and self.max_time is None

    def begin(self, callback: Any, *, prompt: bool) -> None:
        """Called when training begins.

        Args:
            callback: The monitor.
            prompt: Whether the weights are kept when a batch is the best one.
        """
        own = callback._fitwatch
        own.detach()
        self._first, self.before = 0, (0, 0.0)
        self.watch = None
        if self.is_idle():
            return
        by_batch = self.unit == "batch"
        if by_batch:
            own.steps.begin(callback)
        self.watch = _core.Watch(
            own.core,
            own.metrics(callback) if by_batch else [],
            getattr(trainer.model_of(callback), "steps_per_execution", 1),
            prompt and by_batch,
            self.max_time,
        )
        coordinator = rank_aware.coordinator_of(callback)
        self.watch.holds = coordinator is not None and coordinator.shares(callback)

    def begin_inside(self, trained: int) -> None:
        """Called before an epoch of which this many batches were trained already."""
        self._trained = trained

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        if self.watch is not None:
            callback._fitwatch.drain()
            self.watch.epoch = epoch
            self._first = self.watch.seen - self._trained
        self._trained = 0

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Lets the core decide on the values of a batch, and carries the decision out."""
        if self.watch is None:
            return
        callback._fitwatch.drain()
        if self.unit == "batch":
            callback._fitwatch.prepare(callback)
        feed, act = self._form(callback)
        feed.push(batch, logs, act, readers.reader())

    def _form(self, callback: Any) -> Form:
        feed = callback._fitwatch.steps.feed(callback, self.watch)
        return feed, lambda batch, logs: self._on_verdict(callback, batch, logs)

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        if self.is_idle():
            return None
        if self.watch is None or not callback._fitwatch.attach(recorder):
            return NotImplemented
        if self.unit == "batch":
            callback._fitwatch.prepare(callback)
        return self._form(callback)

    def _on_verdict(self, callback: Any, batch: int, logs: Any) -> None:
        watch = self.watch
        if watch is None:
            return
        if watch.verdict is not None:
            self._carry_out(callback, watch)
        elif watch.time_is_over and not watch.holds:
            callback._fitwatch.time_is_over(callback, batch)
        if self.unit == "batch":
            self._report(callback, logs)

    def _carry_out(self, callback: Any, watch: _core.Watch) -> None:
        if watch.verdict is not None:
            callback._fitwatch.act(callback, *watch.verdict)

    # Several processes: values are kept until the processes exchange them, and judged then.

    def propose(self, averages: bool) -> Any:
        """The values that this process has seen since the last exchange."""
        if self.watch is None:
            return None
        self._held = self.watch.held()
        return {
            "over": self.watch.time_is_over,
            "values": self._held if averages else None,
        }

    def apply(self, callback: Any, votes: list[Any], batch: int, averages: bool) -> None:
        """Judges the values of all processes, in the order of the batches."""
        own, watch = callback._fitwatch, self.watch
        if watch is None:
            return
        held, self._held = self._held, ()
        if averages:
            calls = zip_longest(*(p["values"] for p in votes if p), fillvalue=(0, []))
            held = [_averaged(call) for call in calls]
        improved = None
        for batches, values in held:
            if not batches and not any(values):
                continue
            again = False
            while watch.feed(batches, values, again):
                again = True
                if watch.verdict is not None and watch.verdict[0] == Decision.IMPROVED:
                    improved = watch.verdict  # only the current weights can be kept
                else:
                    self._carry_out(callback, watch)
        if improved is not None:
            # The best weights are those of the last batch.
            own.act(callback, improved[0], watch.seen - 1)
        if any(vote["over"] for vote in votes if vote):
            own.time_is_over(callback, batch)

    def _report(self, callback: Any, logs: dict[str, Any]) -> None:
        """Warns about the first missing metric."""
        own = callback._fitwatch
        columns = own.steps.columns
        taken = [] if columns is None else columns.names
        for name in own.metrics(callback):
            if name not in logs and name not in taken:
                own.report_missing(callback, logs, name)

    def where(self, batch: int) -> str:
        """A batch as text for a message: batch and epoch are counted from 1."""
        return f"Epoch {self.epoch + 1}, batch {batch - self._first + 1}"

    def within_epoch(self, batch: int) -> int:
        """The number of a batch in its epoch, from 0."""
        return batch - self._first

    def trained(self, batch: int) -> int:
        """How many batches were trained with a batch of the epoch."""
        return self._first + batch + 1

    @property
    def epoch(self) -> int:
        """The epoch that is running."""
        watch = self.watch  # another thread may look while a fit ends
        return 0 if watch is None else watch.epoch

    def train_end(self, callback: Any) -> None:
        self.before = (self.seen, self.elapsed)
        self.watch = None

    @property
    def seen(self) -> int:
        """Batches so far; validations, if these are the unit."""
        watch = self.watch
        return self.before[0] if watch is None else watch.seen

    @seen.setter
    def seen(self, batches: int) -> None:
        self.before = (batches, self.before[1])
        if self.watch is not None:
            self.watch.seen = batches

    @property
    def elapsed(self) -> float:
        """Seconds so far, with `max_time`."""
        watch = self.watch
        if watch is None or self.max_time is None:
            return self.before[1]
        return watch.elapsed

    @elapsed.setter
    def elapsed(self, seconds: float) -> None:
        self.before = (self.before[0], seconds)
        if self.watch is not None:
            self.watch.elapsed = seconds

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "before": (self.seen, self.elapsed)}


class BatchMonitor(MonitorAttachment):
    """The attachment of a monitor that may count batches."""

    def __init__(self, core: Any) -> None:
        super().__init__(core)
        self.steps = MonitorSteps()
        self.batches = BatchUnit()

    def prepare(self, callback: Any) -> None:
        """Finds the direction of the metric, once the metrics are known."""
        if callback.monitor_op is None:
            callback._set_monitor_op()
        self.require_core(callback)

    def metrics(self, callback: Any) -> list[str]:
        """The names of the monitored metrics."""
        raise NotImplementedError

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        return self.batches.form(callback, recorder)

    def act(self, callback: Any, decision: Decision, batch: int) -> None:
        """Carries out a decision that a batch has brought about."""
        raise NotImplementedError

    def wants_validations(self, callback: Any) -> bool:
        return self.batches.unit == "validation"

    def time_is_over(self, callback: Any, batch: int) -> None:
        """Ends the training after a batch, which is counted from 0 in its epoch."""

    def monitored(self, callback: Any) -> list[str]:
        return self.metrics(callback) if self.batches.unit == "epoch" else []

    def decides_within_epoch(self, callback: Any) -> bool:
        return not self.batches.is_idle() or self.batches.unit == "validation"

    def propose(self, callback: Any, averages: bool) -> Any:
        return self.batches.propose(averages)

    def apply(self, callback: Any, votes: list[Any], batch: int, averages: bool) -> None:
        self.batches.apply(callback, votes, batch, averages)


def _averaged(call: tuple[Values, ...]) -> Values:
    """The values of several processes for the same call of the train function, averaged."""
    metrics = zip_longest(*(values for _, values in call), fillvalue=[])
    means: list[list[float | None]] = [
        [average for each in zip_longest(*metric) if (average := mean(each)) is not None]
        for metric in metrics
    ]
    return max(batches for batches, _ in call), means
