"""The attachment of a callback: its one private attribute, `callback._fitwatch`."""

import copy
from collections.abc import Iterator
from typing import Any, ClassVar, Self, TypeVar

from fitwatch import _core
from fitwatch._enable.fit_scope import FitScope
from fitwatch._engine.nested import Nested


class Part:
    """A component of a callback, called from the callback's hooks.

    Every method takes the callback, to which a part keeps no reference, and does nothing by
    default.
    """

    # Attributes that belong to a run: copies and pickles do not have them.
    left_out: ClassVar[frozenset[str]] = frozenset()

    def train_begin(self, callback: Any) -> None:
        """Called when `fit()` begins, after the callback's own hook."""

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins, before the hook of Keras's class."""

    def train_end(self, callback: Any) -> None:
        """Called when `fit()` ends, after the hook of Keras's class."""

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Called when a `fit()` ends without `on_train_end`, by Ctrl-C or another exception."""
        self.train_end(callback)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self.left_out}


P = TypeVar("P", bound=Part)


class Attachment(Part):
    """Connects a callback to its run, and holds its parts.

    It is itself the last part; callbacks derive their own attachments from it.

    Attributes:
        recorder: Delivers rows from the core, some batches late; None outside compiled lists.
        scope: The run; None before the first one.
        spent: Sums where the time of the `fit()` goes, if the callback reports it.
        is_silent: Whether this process writes nothing; set when the callback gets its model.
        nested: Restores the outer run after an evaluation inside it.
    """

    left_out = frozenset({"recorder", "scope", "nested", "is_silent"})
    # Attributes besides parts of which a copy has its own copy.
    copied: ClassVar[frozenset[str]] = frozenset()
    # Whether it announces spikes.
    brings_spikes: ClassVar[bool] = False

    recorder: _core.Recorder | None = None
    scope: FitScope | None = None
    spent: _core.Spent | None = None
    is_silent = False

    def __init__(self) -> None:
        self.nested = Nested()

    @property
    def parts(self) -> list[Part]:
        """The attributes that are parts, in order."""
        return [value for value in vars(self).values() if isinstance(value, Part)]

    def hooked(self) -> list[Part]:
        """The parts whose methods the hooks call: all parts, and this attachment last."""
        return [*self.parts, self]

    def attach(self, recorder: _core.Recorder) -> bool:
        """Connects a recorder; False if another one is connected.

        Rows of two callback lists would arrive in the wrong order.
        """
        if self.recorder is None:
            self.recorder = recorder
        return self.recorder is recorder

    def detach(self) -> None:
        """Disconnects the recorder, after its last rows."""
        self.drain()
        self.recorder = None

    def drain(self) -> None:
        """Processes all pending rows; called before a tracked attribute is read or written."""
        recorder = self.recorder  # a fit that ends in another thread may reset it
        if recorder is not None:
            recorder.drain_for_read()

    def bring_up_to_date(self, callback: Any) -> None:
        """Called before the callback is copied."""
        self.drain()

    @property
    def callback_list(self) -> Any:
        """The callback list of the run; None outside of one."""
        return None if self.scope is None else self.scope.callback_list

    def siblings(self) -> list[Any]:
        """The callbacks in the same list, including this one."""
        callback_list = self.callback_list
        return [] if callback_list is None else list(callback_list.callbacks)

    def add_to_logs(self, logs: Any) -> None:
        """Adds the callback's columns to the logs of an epoch, before any callback gets them."""

    def wants_validations(self, callback: Any) -> bool:
        """Whether the callback's `on_validation_end` must be called, also for its own sake."""
        return False

    def fit_ended(self, callback: Any) -> None:
        """Called after the last callback's `on_train_end`; not in a list of Keras's."""

    def flush(self) -> None:
        """Called when an exception passes through a callback list: writes buffered values."""

    def interrupted(self, callback: Any) -> None:
        """Called when a batch has ended during which a signal came that is not Ctrl-C.

        It raises the exception that ends the run, or leaves that to the next batch.
        """

    def abandon(self, callback: Any, *, fit: bool, interrupted: bool) -> None:
        """Called when a run ends without its `on_*_end`.

        Args:
            callback: The callback.
            fit: Whether the run is a `fit()`, not an `evaluate()` or `predict()`.
            interrupted: Whether Ctrl-C has ended it, not another exception.
        """
        self.detach()
        self.nested.abandon(callback, fit=fit)
        for part in self.hooked() if fit else ():
            part.close(callback, interrupted=interrupted)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.nested = Nested()

    def twin(self) -> Self:
        """The attachment of a copy of the callback, which shares no mutable state."""
        twin = copy.copy(self)
        for name, value in vars(twin).items():
            if isinstance(value, Part) or name in self.copied:
                setattr(twin, name, copy.copy(value))
        return twin

    def _listeners(self) -> Iterator[tuple[Any, "Attachment"]]:
        """The callbacks of the list that are fitwatch's, each with its attachment."""
        for sibling in self.siblings():
            attachment = attachment_of(sibling)
            if attachment is not None:
                yield sibling, attachment

    def announce(self, kind: str, text: str) -> None:
        """Tells the callbacks of the list about an event, such as a checkpoint or a stop."""
        for sibling, attachment in self._listeners():
            attachment.event(sibling, kind, text)

    def event(self, callback: Any, kind: str, text: str) -> None:
        """Called when a callback of the list announces an event."""

    def announce_spike(self, batch: int, value: float) -> None:
        """Tells the callbacks of the list about a spike at a batch of the epoch."""
        for _, attachment in self._listeners():
            attachment.spike_seen(batch, value)

    def spike_seen(self, batch: int, value: float) -> None:
        """Called when a callback of the list has seen a spike at a batch of the epoch."""

    def announce_rate(self, batch: int, before: float | None, after: float | None) -> None:
        """Tells the callbacks of the list that this one changed the learning rate."""
        for sibling, attachment in self._listeners():
            attachment.rate_changed(sibling, batch, before, after)

    def rate_changed(
        self, callback: Any, batch: int, before: float | None, after: float | None
    ) -> None:
        """Called when a callback of the list changed the learning rate before a batch."""


def set_state(instance: Any, state: Any) -> None:
    """Restores a state of `object.__getstate__`, as pickle does by default."""
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    instance.__dict__.update(attributes or {})
    for name, value in slots.items():
        setattr(instance, name, value)


def attachment_of(callback: Any) -> Attachment | None:
    """The attachment of a callback of fitwatch's; None for any other callback.

    Looked up in `__dict__`: a mock has every attribute, and passes any isinstance check.
    """
    found = getattr(callback, "__dict__", {}).get("_fitwatch")
    return found if issubclass(type(found), Attachment) else None


def parts_of(callback: Any, kind: type[P]) -> list[P]:
    """The parts of one kind of a callback of fitwatch's; none of any other callback."""
    attachment = attachment_of(callback)
    parts = () if attachment is None else attachment.parts
    return [part for part in parts if isinstance(part, kind)]
