"""Monitors that count in batches."""

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from fitwatch import _core
from fitwatch._core import Decision
from fitwatch._distributed.averages import mean, number
from fitwatch._distributed.coordinator import Agreement
from fitwatch._distributed.rank_aware import Agreeing
from fitwatch._engine.plan import Idle, compiled
from fitwatch._engine.step_backends import watch
from fitwatch._engine.step_user import OwnLosses
from fitwatch._keras import trainer

# The losses of a call's batches, and the metrics after the last of them.
Values = tuple[list[float], list[float | None]]


class ByBatch(Idle, Agreeing, OwnLosses):
    """Mixin for a `Monitor`: what it does with batches, if it does anything.

    The core has the values of every batch and decides; what it decided comes to `_fitwatch_act`.
    Batches are counted from 0 and across epochs.
    """

    # As the constructor was told: a subclass may have attributes of these names for its own use.
    _fitwatch_unit = "epoch"
    _fitwatch_max_time: float | None = None
    # What a `Monitor` has.
    monitor_op: Any
    _fitwatch_core: Any
    _fitwatch_attach: Callable[[_core.Recorder], bool]
    _fitwatch_detach: Callable[[], None]
    _fitwatch_drain: Callable[[], None]
    _report_missing: Callable[..., None]
    _require_core: Callable[[], None]
    _fitwatch_agreement: Callable[[], Agreement | None]
    _set_monitor_op: Callable[[], None]

    _fitwatch_batches: _core.Watch | None = None
    # The number of the epoch's first batch.
    _fitwatch_first = 0
    # Batches of the epoch that begins which were trained already.
    _fitwatch_trained = 0
    # What was seen and is judged when all processes have told theirs.
    _fitwatch_held: Sequence[Values] = ()
    # Batches and seconds, outside a fit.
    _fitwatch_before: tuple[int, float] = (0, 0.0)

    def _fitwatch_metrics(self) -> list[str]:
        """The names of the metrics that are watched."""
        raise NotImplementedError

    def _fitwatch_act(self, decision: _core.Decision, batch: int) -> None:
        """Carries out a decision that a batch has brought about."""
        raise NotImplementedError

    def _fitwatch_time_is_over(self, batch: int) -> None:
        """Ends the training after a batch, which is counted from 0 in its epoch."""

    def _fitwatch_begin_batches(self, *, prompt: bool) -> None:
        """Called when training begins.

        Args:
            prompt: Whether something is done about the weights when a batch is the best one.
        """
        self._fitwatch_detach()
        self._fitwatch_first, self._fitwatch_before = 0, (0, 0.0)
        self._fitwatch_batches = None
        if self._fitwatch_is_idle():
            return
        by_batch = self._fitwatch_unit == "batch"
        if by_batch:
            self._fitwatch_watch()
        self._fitwatch_batches = _core.Watch(
            self._fitwatch_core,
            self._fitwatch_metrics() if by_batch else [],
            self._fitwatch_losses,
            getattr(trainer.model_of(self), "steps_per_execution", 1),
            prompt and by_batch,
            self._fitwatch_max_time,
        )
        agreement = self._fitwatch_agreement()
        self._fitwatch_batches.holds = agreement is not None and agreement.shares(self)

    def _fitwatch_take_losses(self) -> None:
        # Whatever is watched: they tell how many batches a call has trained.
        quiet = "loss" not in self._fitwatch_metrics()
        self._fitwatch_losses = watch(self, quiet=quiet)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch begins."""
        super().on_epoch_begin(epoch, logs)
        if self._fitwatch_batches is not None:
            self._fitwatch_drain()
            self._fitwatch_batches.epoch = epoch
            self._fitwatch_batches.losses = self._fitwatch_losses
            self._fitwatch_first = self._fitwatch_batches.seen - self._fitwatch_trained
        self._fitwatch_trained = 0

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Lets the core decide on the values of the batch, and does what it says."""
        super().on_train_batch_end(batch, logs)  # type: ignore[misc]
        batches = self._fitwatch_batches
        if batches is None:
            return
        self._fitwatch_drain()
        if self._fitwatch_unit == "batch":
            self._fitwatch_observe(batches, logs or {})
        if batches.time_is_over and not batches.holds:
            self._fitwatch_time_is_over(batch)

    def _fitwatch_begin_inside(self, trained: int) -> None:
        self._fitwatch_trained = trained

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        super().on_train_end(logs)
        self._fitwatch_end_batches()

    def _fitwatch_observe(self, batches: _core.Watch, logs: dict[str, Any]) -> None:
        self._fitwatch_prepare()
        losses = self._fitwatch_own_losses()
        names = self._fitwatch_metrics()
        metrics = [number(logs.get(name)) for name in names]
        self._fitwatch_report(logs)
        if batches.holds:
            batches.hold(losses, metrics)
            return
        if not losses and all(value is None for value in metrics):
            return
        again = False
        while batches.feed(losses, metrics, again):
            again = True
            self._fitwatch_carry_out(batches)

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if self._fitwatch_is_idle():
            return None
        if self._fitwatch_batches is None or not self._fitwatch_attach(recorder):
            return NotImplemented
        if self._fitwatch_unit == "batch":
            self._fitwatch_prepare()
        return self._fitwatch_batches, self._fitwatch_on_verdict

    def _fitwatch_on_verdict(self, batch: int, logs: Any) -> None:
        batches = self._fitwatch_batches
        if batches is None:
            return
        if batches.verdict is not None:
            self._fitwatch_carry_out(batches)
        elif batches.time_is_over and not batches.holds:
            self._fitwatch_time_is_over(batch)
        if self._fitwatch_unit == "batch":
            self._fitwatch_report(logs)

    def _fitwatch_carry_out(self, batches: _core.Watch) -> None:
        if batches.verdict is not None:
            self._fitwatch_act(*batches.verdict)

    # Several processes: values are kept until all agree, and judged by all of them then.

    def _fitwatch_judged(self) -> list[str]:
        return self._fitwatch_metrics() if self._fitwatch_unit == "epoch" else []

    def _fitwatch_counts_inside(self) -> bool:
        return not self._fitwatch_is_idle()

    def _fitwatch_propose(self, averages: bool) -> Any:
        """What this process has seen since the last time, for the others."""
        batches = self._fitwatch_batches
        if batches is None:
            return None
        self._fitwatch_held = batches.held()
        return {
            "over": batches.time_is_over,
            "values": self._fitwatch_held if averages else None,
        }

    def _fitwatch_conclude(self, proposals: list[Any], batch: int, averages: bool) -> None:
        """Judges what all have seen, in the order of the batches, after a batch of the epoch."""
        batches = self._fitwatch_batches
        if batches is None:
            return
        held, self._fitwatch_held = self._fitwatch_held, ()
        if averages:
            calls = zip_longest(*(p["values"] for p in proposals if p), fillvalue=([], []))
            held = [_averaged(call) for call in calls]
        improved = None
        for losses, metrics in held:
            if not losses and all(value is None for value in metrics):
                continue
            again = False
            while batches.feed(losses, metrics, again):
                again = True
                if batches.verdict is not None and batches.verdict[0] == Decision.IMPROVED:
                    improved = batches.verdict  # the weights are those of now, for each of them
                else:
                    self._fitwatch_carry_out(batches)
        if improved is not None:
            # The best weights are those of the last batch.
            self._fitwatch_act(improved[0], batches.seen - 1)
        if any(proposal["over"] for proposal in proposals if proposal):
            self._fitwatch_time_is_over(batch)

    def _fitwatch_report(self, logs: dict[str, Any]) -> None:
        """Warns of the first metric that is missing."""
        own = self._fitwatch_losses is not None and self._fitwatch_losses.exact
        for name in self._fitwatch_metrics():
            if name not in logs and not (own and name == "loss"):
                self._report_missing(logs, name)

    def _fitwatch_prepare(self) -> None:
        """Finds out what counts as better, once the metrics are known."""
        if self.monitor_op is None:
            self._set_monitor_op()
        self._require_core()

    def _fitwatch_is_idle(self) -> bool:
        return self._fitwatch_unit == "epoch" and self._fitwatch_max_time is None

    def _fitwatch_where(self, batch: int) -> str:
        """A batch in the words of a message: counted from 1 within its epoch, like the epoch."""
        return f"Epoch {self._fitwatch_epoch() + 1}, batch {batch - self._fitwatch_first + 1}"

    def _fitwatch_epoch(self) -> int:
        """The epoch that is running."""
        batches = self._fitwatch_batches
        return 0 if batches is None else batches.epoch

    def _fitwatch_end_batches(self) -> None:
        self._fitwatch_before = (self._fitwatch_seen, self._fitwatch_elapsed)
        self._fitwatch_batches = None

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        if fit:
            self._fitwatch_end_batches()

    # The state.

    @property
    def _fitwatch_seen(self) -> int:
        """Batches so far."""
        batches = self._fitwatch_batches
        return self._fitwatch_before[0] if batches is None else batches.seen

    @_fitwatch_seen.setter
    def _fitwatch_seen(self, batches: int) -> None:
        self._fitwatch_before = (batches, self._fitwatch_before[1])
        if self._fitwatch_batches is not None:
            self._fitwatch_batches.seen = batches

    @property
    def _fitwatch_elapsed(self) -> float:
        """Seconds so far, where they count."""
        batches = self._fitwatch_batches
        if batches is None or self._fitwatch_max_time is None:
            return self._fitwatch_before[1]
        return batches.elapsed

    @_fitwatch_elapsed.setter
    def _fitwatch_elapsed(self, seconds: float) -> None:
        self._fitwatch_before = (self._fitwatch_before[0], seconds)
        if self._fitwatch_batches is not None:
            self._fitwatch_batches.elapsed = seconds

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()  # a pair, as `Compiled` has it
        if self._fitwatch_batches is not None:
            # A copy is outside the fit.
            state[0]["_fitwatch_before"] = (self._fitwatch_seen, self._fitwatch_elapsed)
        return state


def _averaged(call: tuple[Values, ...]) -> Values:
    """What several processes have seen of the same call of the train step, as one."""
    losses, metrics = (
        [mean(values) for values in zip_longest(*each)] for each in zip(*call, strict=True)
    )
    return [math.nan if loss is None else loss for loss in losses], metrics
