"""Monitors that count in batches."""

from collections.abc import Callable
from typing import Any

from fitwatch import _core, _keras
from fitwatch.callbacks._compiled import Idle, compiled
from fitwatch.callbacks._own_losses import OwnLosses


class ByBatch(Idle, OwnLosses):
    """Mixin for a `Monitor`: what it does with batches, if it does anything.

    The core has the values of every batch and decides; what it decided comes to `_fitwatch_act`.
    """

    unit: str
    max_time: float | None = None
    # What a `Monitor` has.
    monitor_op: Any
    _fitwatch_core: Any
    _fitwatch_attach: Callable[[_core.Recorder], bool]
    _fitwatch_detach: Callable[[], None]
    _fitwatch_drain: Callable[[], None]
    _report_missing: Callable[..., None]
    _require_core: Callable[[], None]
    _set_monitor_op: Callable[[], None]

    _fitwatch_batches: _core.Watch | None = None
    # The number of the epoch's first batch, across epochs.
    _fitwatch_first = 0

    def _fitwatch_metrics(self) -> list[str]:
        """The names of the metrics whose batch values are watched."""
        raise NotImplementedError

    def _fitwatch_act(self, decision: _core.Decision, batch: int) -> None:
        """Carries out a decision that a batch has brought about, counted from 0 across epochs."""
        raise NotImplementedError

    def _fitwatch_time_is_over(self) -> None:
        """Ends the training."""

    def _fitwatch_begin_batches(self, *, prompt: bool) -> None:
        """Called when training begins.

        Args:
            prompt: Whether something is done about the weights at once.
        """
        self._fitwatch_detach()
        self._fitwatch_first = 0
        self._fitwatch_batches = None
        if self._fitwatch_is_idle():
            return
        metrics = self._fitwatch_metrics() if self.unit == "batch" else []
        if "loss" in metrics:
            self._fitwatch_watch()
        model = _keras.model_of(self)
        self._fitwatch_batches = _core.Watch(
            self._fitwatch_core,
            metrics,
            self._fitwatch_losses,
            getattr(model, "steps_per_execution", 1),
            prompt,
            self.max_time,
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes where the epoch begins."""
        super().on_epoch_begin(epoch, logs)
        if self._fitwatch_batches is not None:
            self._fitwatch_drain()
            self._fitwatch_batches.epoch = epoch
            self._fitwatch_first = self._fitwatch_batches.seen

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Lets the core decide on the values of the batch, and does what it says."""
        watch = self._fitwatch_batches
        if watch is None:
            return
        self._fitwatch_drain()
        if watch.time_is_over:
            self._fitwatch_time_is_over()
        if self.unit == "epoch":
            return
        self._fitwatch_prepare()
        losses = self._fitwatch_own_losses()
        metrics = [_number((logs or {}).get(name)) for name in self._fitwatch_metrics()]
        if not losses and all(value is None for value in metrics):
            self._report_missing(logs or {})
            return
        again = False
        while watch.feed(losses, metrics, again):
            again = True
            self._fitwatch_carry_out()

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if self._fitwatch_is_idle():
            return None
        if self._fitwatch_batches is None or not self._fitwatch_attach(recorder):
            return NotImplemented
        if self.unit == "batch":
            self._fitwatch_prepare()
        return self._fitwatch_batches, self._fitwatch_on_verdict

    def _fitwatch_on_verdict(self, batch: int, logs: Any) -> None:
        watch = self._fitwatch_batches
        if watch is None:
            return
        if watch.verdict is not None:
            self._fitwatch_carry_out()
        elif watch.time_is_over:
            self._fitwatch_time_is_over()
        else:
            self._report_missing(logs)

    def _fitwatch_carry_out(self) -> None:
        watch = self._fitwatch_batches
        if watch is not None and watch.verdict is not None:
            self._fitwatch_act(*watch.verdict)

    def _fitwatch_prepare(self) -> None:
        """Finds out what counts as better, once the metrics are known."""
        if self.monitor_op is None:
            self._set_monitor_op()
        self._require_core()

    def _fitwatch_is_idle(self) -> bool:
        return self.unit == "epoch" and self.max_time is None

    def _fitwatch_where(self, batch: int | None) -> str:
        """A batch in the words of a message: counted from 1 within its epoch, like the epoch."""
        where = f"Epoch {self._fitwatch_epoch() + 1}"
        return where if batch is None else f"{where}, batch {batch - self._fitwatch_first + 1}"

    def _fitwatch_epoch(self) -> int:
        """The epoch that is running."""
        return 0 if self._fitwatch_batches is None else self._fitwatch_batches.epoch

    # The state.

    @property
    def _fitwatch_seen(self) -> int:
        """Batches so far."""
        return 0 if self._fitwatch_batches is None else self._fitwatch_batches.seen

    @_fitwatch_seen.setter
    def _fitwatch_seen(self, batches: int) -> None:
        if self._fitwatch_batches is not None:
            self._fitwatch_batches.seen = batches

    @property
    def _fitwatch_elapsed(self) -> float:
        """Seconds so far, where they count."""
        watch = self._fitwatch_batches
        return 0.0 if watch is None or self.max_time is None else watch.elapsed

    @_fitwatch_elapsed.setter
    def _fitwatch_elapsed(self, seconds: float) -> None:
        if self._fitwatch_batches is not None:
            self._fitwatch_batches.elapsed = seconds


def _number(value: Any) -> float | None:
    number = _keras.to_number(value)
    return number if isinstance(number, float) else None
