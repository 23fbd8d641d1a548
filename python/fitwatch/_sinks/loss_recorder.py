"""What `LossHistory` records, and when it plots."""

import math
from typing import Any, ClassVar

from fitwatch import _core, _files
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._engine import readers
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.missing_metric import report_missing
from fitwatch._engine.step_kinds import Kind
from fitwatch._keras import backend, learning_rate, trainer
from fitwatch._keras.optimizer import has_schedule
from fitwatch._sinks.column_steps import ColumnSteps
from fitwatch._sinks.loss_record import NEW, READERS, LossRecord
from fitwatch._warn import warn


class RecordedSteps(ColumnSteps):
    """The per-batch losses and columns; the record notes their kinds before they are released."""

    def kinds(self, callback: Any) -> Kind:
        kinds = Kind.LOSS if callback.loss == "batch" else Kind(0)
        return kinds if callback.columns is None else kinds | Kind.METRIC | Kind.HEALTH

    def release(self, callback: Any) -> None:
        callback._fitwatch.note_kind(callback)
        super().release(callback)


class RecordState(RunState):
    """The record of a run."""

    fields: ClassVar = {name: Field(read, is_new=name in NEW) for name, read in READERS.items()}

    def take(self, callback: Any) -> dict[str, Any]:
        callback._fitwatch.note_kind(callback)
        state: dict[str, Any] = callback._fitwatch.record.state()
        return state

    def put(self, callback: Any, values: dict[str, Any]) -> None:
        own = callback._fitwatch
        own.record = LossRecord(callback.capacity, callback.columns or ())
        own.record.restore(values)
        own.steps.inexact = values["kind"] != "batch" and len(own.record.series) > 0

    def begin_inside(self, callback: Any, trained: int) -> None:
        callback._fitwatch.is_inside = True


class Recording(Attachment):
    """The attachment of `LossHistory`.

    Attributes:
        record: What was recorded.
        is_inside: Whether the epoch that begins was interrupted in the resumed run.
    """

    copied = frozenset({"record"})

    record: LossRecord
    is_inside = False
    # The learning rate when it was last looked at.
    _rate: float | None = None
    _missing_reported = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = RecordedSteps()
        self.state = RecordState()

    def start_over(self, callback: Any) -> None:
        """Forgets everything."""
        self.record = LossRecord(callback.capacity, callback.columns or ())
        self._rate = None
        self._missing_reported = False

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.detach()
        self.start_over(callback)
        self.steps.begin(callback)

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Stores the first batch of the epoch, and whether the learning rate was reduced."""
        start, stop = self.record.epochs.get(epoch, (0, 0))
        if not self.is_inside or stop is not None:
            start = len(self.record.series)
        self.record.epochs[epoch] = (start, None)
        self.is_inside = False
        self._look_at_rate(callback)

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Records the losses of the batches that a call has trained."""
        if self.recorder is not None:
            self.drain()
        feed = self.steps.feed(callback, self.record.sink)
        feed.push(batch, logs, self.keep_logged, readers.reader())

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        if not self.attach(recorder):
            return NotImplemented
        return self.steps.feed(callback, self.record.sink), self.keep_logged

    def keep_logged(self, batch: int, logs: Any) -> None:
        """Records what is in the logs, where the core cannot."""
        record = self.record
        values = {name: _number(logs, name) for name in ("loss", *record.columns)}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            self._report_missing(missing, logs)
        if len(missing) < len(values):
            for name, value in values.items():
                series = record.series if name == "loss" else record.columns[name]
                series.append(math.nan if value is None else value)

    def see_validation(self) -> None:
        """Notes the loss of a validation inside an epoch; the epoch's logs have its own."""
        joined = after_batches(self.callback_list)
        if joined is None or joined.validations.is_epochs_own:
            return
        value = backend.to_number(joined.validations.values.get("val_loss"))
        self.drain()
        if isinstance(value, float) and len(self.record.series):
            self.record.validation.append((len(self.record.series) - 1, value))

    def end_epoch(self, callback: Any, epoch: int, logs: dict[str, Any]) -> None:
        """Called when an epoch has ended."""
        validation = backend.to_number(logs.get("val_loss"))
        taken = [] if self.steps.columns is None else self.steps.columns.names
        missing = [name for name in self.record.columns if name not in {*logs, *taken}]
        if missing and len(self.record.series):
            self._report_missing(missing, logs)
        self.record.end_epoch(epoch, validation if isinstance(validation, float) else None)
        if self._plots_epochs(callback):
            self._try_plot(callback, epoch)

    def bring_up_to_date(self, callback: Any) -> None:
        self.note_kind(callback)

    def note_kind(self, callback: Any) -> None:
        """Brings the record up to date, and stores what kind of losses it has."""
        self.drain()
        source = self.steps.source
        if source is not None and (self.steps.trained or not source.has(Kind.LOSS)):
            inexact = self.steps.inexact or not source.has(Kind.LOSS) or callback.loss == "running"
            self.record.kind = "running" if inexact else "batch"
            self._note_columns()
        elif callback.loss == "running" and self.nested.fitting:
            self.record.kind = "running"
            self.record.kinds = dict.fromkeys(self.record.columns, "running")

    def _note_columns(self) -> None:
        taken = [] if self.steps.columns is None else self.steps.columns.names
        kinds = self.record.kinds
        for name in self.record.columns:
            mixed = kinds.get(name) == "running"
            kinds[name] = "batch" if name in taken and not mixed else "running"

    def rate_changed(
        self, callback: Any, batch: int, before: float | None, after: float | None
    ) -> None:
        """Stores a reduction of the learning rate."""
        self._rate = after
        if before is not None and after is not None and after < before:
            self.record.rate_drops.append((batch, before, after))

    def _look_at_rate(self, callback: Any) -> None:
        model = trainer.model_of(callback)
        optimizer = getattr(model, "optimizer", None)
        # A schedule changes the rate all the time.
        if optimizer is None or has_schedule(optimizer):
            return
        rate = learning_rate.first_rate(model)
        self.rate_changed(callback, len(self.record.series), self._rate, rate)

    def _report_missing(self, missing: list[str], logs: Any) -> None:
        if not self._missing_reported:
            self._missing_reported = True
            report_missing("LossHistory", missing, logs)

    # Pictures.

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Plots the run after Ctrl-C."""
        if interrupted:
            self.plot_run(callback)

    def plot_run(self, callback: Any) -> None:
        """Plots the run, if one picture of it is wanted and this process writes."""
        if callback.plot is not None and not self.is_silent and not self._plots_epochs(callback):
            self._try_plot(callback, None)

    def _plots_epochs(self, callback: Any) -> bool:
        plots = callback.plot is not None and not self.is_silent
        return plots and "epoch" in _files.fields("plot", callback.plot)

    def _try_plot(self, callback: Any, epoch: int | None) -> None:
        try:
            callback.save_plot(str(callback.plot).format(epoch=epoch), epoch=epoch)
        except Exception as error:
            # A failed plot must not end the training.
            what = "the run" if epoch is None else f"epoch {epoch}"
            warn(f"LossHistory: no plot of {what}: {error}")


def _number(logs: Any, name: str) -> float | None:
    """A value of the logs as a float; None if it is missing or not a number."""
    try:
        return float(logs[name])
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError):
        return None
