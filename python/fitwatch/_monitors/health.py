"""What the health monitors have in common: they bring columns that sinks write."""

from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine import readers
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.hooks_around import wrap_hooks
from fitwatch._engine.meters import Meter
from fitwatch._engine.plan import compiled, recorder_of
from fitwatch._engine.probes import LossProbe, Probe
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_user import StepUser


class HealthSteps(StepUser):
    """The columns of a health monitor, which takes them for the logs of the epoch."""

    brings_health = True

    def kinds(self, callback: Any) -> Kind:
        kind: Kind = callback._fitwatch.kind
        return kind

    def probes(self, callback: Any) -> list[Probe]:
        probes: list[Probe] = callback._fitwatch.probes(callback)
        return probes

    def meters(self, callback: Any) -> list[Meter]:
        meters: list[Meter] = callback._fitwatch.meters()
        return meters

    def loud(self, callback: Any) -> Kind:
        return self.kinds(callback)


class Health(Attachment):
    """The attachment of a health monitor.

    Attributes:
        kind: The kind of its columns.
        means: Whether the logs of an epoch have the means of its batches, not the last values.
    """

    left_out = Attachment.left_out | {"_values"}

    kind: ClassVar[Kind]
    means: ClassVar[bool] = True

    _values: _core.EpochValues | None = None

    def __init__(self) -> None:
        super().__init__()
        self.steps = HealthSteps()

    def probes(self, callback: Any) -> list[Probe]:
        """What finds the monitor's columns in the train step; meters need that of the loss."""
        return [LossProbe()]

    def meters(self) -> list[Meter]:
        """What measures the monitor's columns outside the train step."""
        return []

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.detach()
        self._values = _core.EpochValues()
        self.steps.begin(callback)
        callback_list = self.callback_list
        if callback_list is not None and recorder_of(callback_list) is None:
            before = {"on_epoch_end": lambda epoch, logs=None: self.add_to_logs(logs)}
            wrap_hooks(callback_list, callback, before=before, failed=lambda error: None)

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Takes the columns of the batches that a call has trained."""
        if self._values is not None:
            self.drain()
            self._feed(callback).push(batch, logs, _nothing, readers.reader())

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_train_batch_end`."""
        if self._values is None or not self.attach(recorder):
            return NotImplemented
        return self._feed(callback), _nothing

    def _feed(self, callback: Any) -> _core.Feed:
        return self.steps.feed(callback, self._values)

    def add_to_logs(self, logs: Any) -> None:
        self.drain()
        if self._values is not None and isinstance(logs, dict):
            for name, mean, last in self._values.take():
                logs.setdefault(name, mean if self.means else last)

    def train_end(self, callback: Any) -> None:
        self.drain()
        self._values = None


class HealthMonitor(FitwatchCallback):
    """The base class of health monitors."""

    _fitwatch: Health

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to take the columns."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)

    @compiled(Health.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the columns of the trained batches."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.see(self, batch, logs)


def _nothing(batch: int, logs: dict[str, Any]) -> None:
    """The core does everything."""
