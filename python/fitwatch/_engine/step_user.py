"""A callback's use of the step columns."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._engine.attachment import Part, parts_of
from fitwatch._engine.meters import Meter
from fitwatch._engine.probes import LossProbe, MetricProbe, Probe
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_source import StepSource, watch
from fitwatch._keras import trainer


class StepUser(Part):
    """Takes step columns during a `fit()`: the loss of each batch, its metrics, and health columns.

    By default it takes the loss if the callback's `loss` is `"batch"`, the other metrics if its
    `metrics` is, and the columns of health monitors in the same list. The callback calls `begin`
    when training begins.

    Attributes:
        source: Their source; None outside a fit, and where no columns are wanted.
        columns: Those of the fit.
        inexact: Whether the loss of some batches of this fit could not be taken.
    """

    left_out = frozenset({"source", "columns", "_fed"})
    # Whether it brings columns that are about the health of the training.
    brings_health: ClassVar[bool] = False

    source: StepSource | None = None
    columns: _core.StepColumns | None = None
    inexact = False
    # The last feed, with what it was made of.
    _fed: tuple[Any, tuple[Any, ...], _core.StepColumns | None, _core.Feed] | None = None

    def kinds(self, callback: Any) -> Kind:
        """The kinds of columns that the callback takes, if there are any."""
        kinds = Kind.HEALTH
        if callback.loss == "batch":
            kinds |= Kind.LOSS
        if getattr(callback, "metrics", "running") == "batch":
            kinds |= Kind.METRIC
        return kinds

    def probes(self, callback: Any) -> list[Probe]:
        """What finds the columns that the callback asks for."""
        kinds = self.kinds(callback)
        return [probe for probe in (LossProbe(), MetricProbe()) if probe.kind in kinds]

    def meters(self, callback: Any) -> list[Meter]:
        """What measures further columns around each call of the train function."""
        return []

    def loud(self, callback: Any) -> Kind:
        """The kinds of columns without which the callback does not work as it was told to."""
        return reduce(or_, (probe.kind for probe in self.probes(callback)), Kind(0))

    def is_wanted(self, callback: Any) -> bool:
        """Whether the callback takes columns in this list."""
        if self.probes(callback):
            return True
        takes_health = self.kinds(callback) & (Kind.HEALTH | Kind.IN_BAR)
        return bool(takes_health) and has_health(callback._fitwatch.siblings())

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.inexact = False
        self.take(callback)

    def take(self, callback: Any) -> None:
        """Finds the source of the columns."""
        if self.is_wanted(callback):
            # Without a probe nothing would tell how many batches a call trains.
            probes = frozenset([LossProbe(), *self.probes(callback)])
            model = trainer.model_of(callback)
            meters, loud = self.meters(callback), self.loud(callback)
            self.source = watch(self, model, probes, meters, loud)
        else:
            self.source = None
        self.columns = None if self.source is None else self.source.columns

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins: other code may have made a new train function."""
        before = self.source
        if before is not None:
            self.inexact = self.inexact or not before.has(Kind.LOSS)
            self.take(callback)
            if self.source is not before:
                before.release(self)
            if self.source is not None:
                self.source.prepare()

    def train_end(self, callback: Any) -> None:
        """Called when `fit()` ends."""
        self.release(callback)

    def release(self, callback: Any) -> None:
        """Ends the use."""
        if self.source is not None:
            self.source.release(self)
        self.source = self.columns = self._fed = None

    @property
    def trained(self) -> int:
        """Batches of this fit whose columns were taken."""
        return 0 if self.columns is None else self.columns.trained

    def feed(self, callback: Any, sink: Any, *made_of: Any) -> _core.Feed:
        """The feed of the callback's sink, with the step columns if there are any.

        Args:
            callback: The callback.
            sink: The sink, or its class.
            made_of: The arguments of the class; a new sink is made when they change.
        """
        fed, columns = self._fed, self.columns
        if fed is None or fed[0] is not sink or fed[1] != made_of or fed[2] is not columns:
            kinds = 0 if columns is None else int(self.kinds(callback))
            feed = _core.Feed(sink(*made_of) if made_of else sink, columns, kinds)
            fed = self._fed = (sink, made_of, columns, feed)
        return fed[3]


def probes_of(callbacks: Iterable[Any]) -> frozenset[Probe]:
    """What finds the columns that the callbacks of a list ask for."""
    users = [(one, user) for one in callbacks for user in parts_of(one, StepUser)]
    return frozenset(probe for one, user in users for probe in user.probes(one))


def has_health(callbacks: Iterable[Any]) -> bool:
    """Whether a callback of a list brings columns that are about the health of the training."""
    return any(user.brings_health for one in callbacks for user in parts_of(one, StepUser))
