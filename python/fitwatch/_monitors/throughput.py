"""Measures how fast a model trains, and where the time goes: the private part of a callback."""

from typing import Any

from fitwatch import _core
from fitwatch._distributed.world import print_message, world
from fitwatch._engine.meters import Meter
from fitwatch._engine.plan import recorder_of
from fitwatch._engine.spending import spent_of
from fitwatch._engine.step_kinds import Kind
from fitwatch._keras import trainer
from fitwatch._keras.frames import fit_of
from fitwatch._monitors.fetches import Fetches
from fitwatch._monitors.health import Health
from fitwatch._monitors.time_report import time_report


class ThroughputMeter(Meter):
    """Measures the calls of the train function in one `fit()`.

    Args:
        window: The number of batches that rates are computed over.
        iterator: The epoch iterator of the `fit()`.
        params: The callback's: the numbers of epochs and of steps in each, as far as known.
        processes: How many processes train as many samples as this one.
        spent: Where the time of steps is summed, if it is to be reported.
    """

    def __init__(
        self,
        window: int,
        iterator: Any,
        params: dict[str, Any],
        processes: int,
        spent: _core.Spent | None,
    ) -> None:
        self._throughput = _core.Throughput(window)
        self.fetches = Fetches(iterator, self._throughput.begin, spent)
        self._processes = processes
        self._epochs, self._steps = params.get("epochs"), params.get("steps")
        # Epochs that are not over.
        self._left = 0
        self._spent = spent
        self._mark: _core.Mark | None = None
        self.columns = dict.fromkeys(_core.Throughput.names, Kind.THROUGHPUT)
        self.columns["eta_seconds"] |= Kind.IN_BAR
        known = {
            "samples_per_second": self.fetches.counts_samples,
            "data_wait": self.fetches.times_waits,
            "eta_seconds": self._epochs is not None,
        }
        self.columns.update((name, Kind(0)) for name, is_known in known.items() if not is_known)

    def begin_epoch(self, epoch: int) -> None:
        """Called when an epoch begins."""
        # Data whose length was not known have told it in the epoch before.
        self._steps = self._steps or self.fetches.trained or None
        self._left = max(0, (self._epochs or 0) - epoch)
        self.fetches.trained = 0
        self.pause()

    def pause(self) -> None:
        """Called when the time that follows belongs to no batch."""
        self._throughput.pause()

    def begin(self) -> None:
        self._throughput.begin()
        if self._spent is not None:
            self._mark = self._spent.mark()

    def end(self, batches: int) -> list[float]:
        fetches = self.fetches
        samples = fetches.samples(batches)
        if samples is not None:
            samples *= self._processes
        self._throughput.end(fetches.waited(), batches, samples)
        if self._spent is not None and self._mark is not None:
            self._spent.add("steps", self._mark)
        remaining = None
        if self._steps is not None and self._epochs is not None:
            remaining = max(0, self._left * self._steps - fetches.trained)
        return self._throughput.values(remaining, self._left)


class Speed(Health):
    """The attachment of `ThroughputMonitor`."""

    left_out = Health.left_out | {"spent", "_meter", "_validation"}
    kind = Kind.THROUGHPUT
    means = False

    _meter: ThroughputMeter | None = None
    _validation: _core.Mark | None = None

    def begin(self, callback: Any) -> None:
        model = trainer.model_of(callback)
        fit = None if model is None else fit_of(model)
        iterator = None if fit is None else fit.epoch_iterator
        self.spent = self._meter = None
        if iterator is not None:
            group = world(model)
            # A batch on JAX has the samples of all processes.
            processes = group.size if group.averages else 1
            self.spent = (spent_of(callback) or _core.Spent()) if callback.report else None
            self._meter = ThroughputMeter(
                callback.window, iterator, callback.params or {}, processes, self.spent
            )
        recorder = recorder_of(self.callback_list)
        if recorder is not None and self.spent is not None:
            recorder.spent = self.spent
        super().begin(callback)

    def meters(self) -> list[Meter]:
        return [] if self._meter is None else [self._meter]

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins."""
        if self._meter is not None:
            self._meter.begin_epoch(epoch)

    def begin_validation(self) -> None:
        """Called when a validation begins."""
        if self._meter is not None:
            self._meter.pause()
        self._validation = None if self.spent is None else self.spent.mark()

    def end_validation(self) -> None:
        """Called when it has ended."""
        if self.spent is not None and self._validation is not None:
            self.spent.add("validation", self._validation)

    def fit_ended(self, callback: Any) -> None:
        """Prints where the time of the `fit()` went."""
        spent, meter, recorder = self.spent, self._meter, recorder_of(self.callback_list)
        self.spent = self._meter = None
        if recorder is not None:
            recorder.spent = None
        if spent is not None and meter is not None:
            waits = spent.seconds("data") if meter.fetches.times_waits else None
            table = time_report(
                steps=spent.seconds("steps"),
                data_wait=waits,
                validation=spent.seconds("validation"),
                saving=spent.seconds("saving"),
                callbacks=[(type(one).__name__, spent.seconds(one)) for one in spent.callbacks],
                rest=spent.rest,
            )
            print_message(table)

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Called after an exception."""
        super().close(callback, interrupted=interrupted)
        self.spent = self._meter = None
