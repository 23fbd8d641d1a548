"""The private part of `EarlyStopping`: what its decisions do to the model, and its messages."""

from contextlib import suppress
from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._checkpoint.resumed_stop import Stopper
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import (
    integer,
    optional_each,
    optional_number,
    optional_whole,
    progress,
    time,
    whole,
)
from fitwatch._core import Decision
from fitwatch._distributed import rank_aware
from fitwatch._distributed.averages import number
from fitwatch._distributed.world import print_message
from fitwatch._keras import stock
from fitwatch._monitors.batch_unit import BatchMonitor
from fitwatch._monitors.specs import Watched, directions
from fitwatch._monitors.validation_unit import count_validation, is_of


class StopState(RunState):
    """The state of `EarlyStopping`, with the best weights."""

    fields: ClassVar = {
        "wait": Field(integer),
        "best": Field(optional_number),
        "best_epoch": Field(whole),
        "best_batch": Field(optional_whole),
        "stopped_epoch": Field(whole),
        "stopped_batch": Field(optional_whole),
        "_fitwatch_seen": Field(whole, "_fitwatch.batches.seen"),
        "_fitwatch_elapsed": Field(time, "_fitwatch.batches.elapsed"),
        "_fitwatch_progress": Field(progress, "_fitwatch.core.progress"),
        "_fitwatch_reached": Field(optional_each, "_fitwatch.core.reached_at", is_new=True),
    }
    rewound = frozenset(
        {"wait", "best", "best_epoch", "best_batch", "_fitwatch_progress", "_fitwatch_reached"}
    )
    # The best weights of a backup, until the first epoch begins.
    weights: list[Any] | None = None

    def check(self, callback: Any, state: Any) -> dict[str, Any]:
        """Converts the values of a state with the same number of metrics."""
        values = super().check(callback, state)
        found, metrics = len(values["_fitwatch_progress"]), callback._fitwatch.metrics(callback)
        if found != len(metrics):
            raise ValueError(
                f"state of EarlyStopping is one of {found} metrics; this one has "
                f"{len(metrics)}: {', '.join(metrics)}."
            )
        return values

    def load(self, callback: Any, state: Any) -> None:
        self.weights = None
        super().load(callback, state)

    def put(self, callback: Any, values: dict[str, Any]) -> None:
        """Sets the result of `check`, and the weights of the same backup."""
        super().put(callback, values)
        if self.weights is not None:
            callback.best_weights = self.weights

    def moment(self, callback: Any) -> Any:
        # A list of weights is replaced, never changed.
        return {**super().moment(callback), "best_weights": callback.best_weights}

    def arrays(self, callback: Any) -> list[Any]:
        return list(callback.best_weights or [])

    def load_arrays(self, callback: Any, arrays: list[Any]) -> None:
        self.weights = arrays or None

    def begin_inside(self, callback: Any, trained: int) -> None:
        callback._fitwatch.batches.begin_inside(trained)

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        super().epoch_begin(callback, epoch)
        self.weights = None


class Stopping(BatchMonitor, Stopper):
    """The private part of `EarlyStopping`.

    Attributes:
        watched: The metrics, the first of which is `monitor`.
        relative: Whether `min_delta` is a fraction of the best value's size.
        reason: Why training was stopped; kept here because a subclass may assign `stop_reason`.
        own_words: Whether Keras's messages do not apply: they name one metric, and epochs.
    """

    rule: ClassVar[tuple[str, ...]] = ("_is_improvement", "get_monitor_value")

    watched: list[Watched]
    relative = False
    reason: str | None = None
    own_words = False
    # Where training was stopped, and where it was best, for messages.
    _stopped_at = ""
    _best_at = ""

    def __init__(self) -> None:
        super().__init__(_core.EarlyStopping())
        self.state = StopState()

    def metrics(self, callback: Any) -> list[str]:
        return [metric.name for metric in self.watched]

    def is_needed(self, callback: Any) -> bool:
        """Whether every process must have the callback, since it sets weights."""
        return bool(callback.restore_best_weights)

    def judge(self, callback: Any, find: Any) -> None:
        """Sets the rule of each metric in the core, once their directions are known.

        Args:
            callback: The callback.
            find: Keras's `_set_monitor_op`.
        """
        upwards = zip(directions(callback, self.watched, find), self.watched, strict=True)
        rules = [
            (
                up,
                abs(of.min_delta) * (1 if up else -1),
                of.baseline,
                of.divergence_threshold,
                of.stopping_threshold,
            )
            for up, of in upwards
        ]
        # The attributes of the first metric may have been assigned to since.
        larger, _, _, *thresholds = rules[0]
        rules[0] = (larger, callback.min_delta, callback.baseline, *thresholds)
        self.core.judge(rules, self.relative)

    def values(self, callback: Any, logs: dict[str, Any], prefix: str = "") -> list[float | None]:
        """The metrics in the logs of an epoch; warns, once in a fit, if one is missing.

        `prefix` is that of a validation, which lacks the metrics of others.
        """
        numbers = {name: number(logs.get(name)) for name in self.metrics(callback)}
        for name, value in numbers.items():
            if value is None and (not prefix or is_of(name, prefix, self)):
                self.report_missing(callback, logs, name)
        return list(numbers.values())

    def carry_out(
        self,
        callback: Any,
        decision: Decision,
        epoch: int,
        batch: int | None = None,
        where: str = "",
    ) -> None:
        """Keeps the weights, or stops the training.

        `batch` and `where`, as text, are given unless the unit is the epoch.
        """
        if decision == Decision.IGNORE:
            return
        improved = decision in (Decision.IMPROVED, Decision.STOP_ON_BEST)
        # As in Keras, the first epoch that counts is the best so far.
        first = callback.best_weights is None and batch is None
        if callback.restore_best_weights and (improved or first):
            callback.best_weights = callback.model.get_weights()
            callback.best_epoch = epoch
            self._best_at = where
        if decision in (Decision.STOP, Decision.STOP_ON_BEST):
            self._stop(callback, where or f"Epoch {epoch + 1}", self._why(callback))

    def act(self, callback: Any, decision: Decision, batch: int) -> None:
        where = self.batches.where(batch)
        self.carry_out(callback, decision, self.batches.epoch, batch, where)

    def see_validation(self, callback: Any, batch: int, logs: dict[str, Any]) -> None:
        """Decides on the values of a validation, and carries the decision out."""
        counted = None if self.is_timed_out() else count_validation(callback, logs)
        if counted is not None:
            values = self.values(callback, logs, counted.prefix)
            found = self.core.update_validation(counted.number, counted.epoch, batch, values)
            self.carry_out(callback, found, counted.epoch, batch, counted.where)

    def time_is_over(self, callback: Any, batch: int) -> None:
        """Stops the training after a batch, counted from 0 in its epoch."""
        if self.reason is not None:
            return
        epoch = self.batches.epoch
        if self.batches.unit == "batch":
            last = self.batches.seen - 1
            where = self.batches.where(last)
            self.core.stop(epoch, last)
        else:
            where = f"Epoch {epoch + 1}, batch {batch + 1}"
            self.core.stop(epoch, None)
        self.own_words = True
        self._stop(callback, where, f"{self.batches.max_time:g} seconds have passed")

    def is_timed_out(self) -> bool:
        """Whether `max_time` cut the epoch short, so that its values do not count."""
        return self.reason is not None and self.reason.endswith("have passed")

    def _stop(self, callback: Any, where: str, why: str) -> None:
        if self.reason is None:
            callback.stop_reason = self.reason = why
            self._stopped_at = where
        rank_aware.stop_training(callback, why)

    def _why(self, callback: Any) -> str:
        metrics = self.metrics(callback)
        diverged = self.core.diverged()
        if diverged:
            return f"{metrics[diverged[0]]} has diverged"
        reached = [self.watched[number] for number in self.core.reached()]
        if reached:
            bounds = [
                f"{metric.name} has reached {metric.stopping_threshold:g}" for metric in reached
            ]
            return ", ".join(bounds)
        # The core lists no stalled metric where a subclass has overridden the rule.
        stalled = self.core.stalled() or [0]
        names = [metrics[number] for number in stalled]
        have = "has" if len(names) == 1 else "have"
        units = {"batch": "batches"}.get(self.batches.unit, f"{self.batches.unit}s")
        return f"{', '.join(names)} {have} not improved for {callback.patience:g} {units}"

    # The end of a fit.

    def end(self, callback: Any) -> None:
        """Prints why training was stopped, and restores the best weights."""
        if self.reason is not None and callback.verbose > 0:
            print_message(f"{self._stopped_at}: early stopping, {self.reason}")
        self._restore(callback)

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Restores the best weights after Ctrl-C, which is a usual way to end a training.

        After another exception the weights are unchanged, and so they are where several processes
        train: one alone cannot set weights that all share.
        """
        if interrupted and rank_aware.coordinator_of(callback) is None:
            self._restore(callback)

    def _restore(self, callback: Any) -> None:
        if not callback.restore_best_weights or callback.best_weights is None:
            return
        if callback.verbose > 0:
            best = f"the end of the best epoch: {callback.best_epoch + 1}."
            if self.batches.unit != "epoch":
                best = f"the best {self.batches.unit}: {self._best_at}."
            print_message(f"Restoring model weights from {best}")
        callback.model.set_weights(callback.best_weights)

    # A stopped training that is resumed.

    def still_stops(self, callback: Any) -> str | None:
        """Why the loaded state would stop the training again at once; None if it would not.

        Judged by the current arguments, such as a larger patience.
        """
        time = self.batches.max_time
        if time is not None and self.batches.elapsed >= time:
            return f"{time:g} seconds have passed"
        if any(metric.has_threshold for metric in self.watched):
            with suppress(ValueError):  # a metric that is not known before the first batch
                callback._set_monitor_op()
        if any(stock.is_overridden(callback, method) for method in self.rule):
            stops = callback.wait >= max(callback.patience, 1)  # Keras's own code has decided
        else:
            stops = self.core.still_stops()
        return self._why(callback) if stops else None

    def had_stopped(self, callback: Any) -> bool:
        """Whether this callback had stopped the training whose state was loaded."""
        stalled = bool(self.core.stalled())
        diverged = any(one[5] is not None for one in self.core.progress)
        reached = any(value is not None for value in self.core.reached_at)
        stopped = callback.stopped_epoch > 0 or callback.stopped_batch is not None
        return stalled or diverged or reached or stopped

    def forget_stop(self, callback: Any) -> None:
        """Called when a training that the callback had stopped goes on."""
        progress = [(*one[:5], None) for one in self.core.progress]
        gone = {
            "stopped_epoch": 0,
            "stopped_batch": None,
            "_fitwatch_progress": progress,
            "_fitwatch_reached": [],
        }
        self.state.loaded = {**(self.state.loaded or {}), **gone}
        self.state.put(callback, self.state.loaded)
