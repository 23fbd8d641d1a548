"""What every callback of fitwatch has: its one private attribute, `callback._fitwatch`."""

import copy
from typing import Any, Self

from fitwatch import _core
from fitwatch._enable.fit_scope import FitScope
from fitwatch._engine.nested import Nested


class Part:
    """Something that a callback does besides the hooks of its class.

    A part is handed the callback with each call and keeps no reference to it. Every method does
    nothing by default.
    """

    def train_begin(self, callback: Any) -> None:
        """Called when `fit()` begins, after the callback's own hook."""

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins, before the hook of Keras's class."""

    def train_end(self, callback: Any) -> None:
        """Called when `fit()` ends, after the hook of Keras's class."""

    def flush(self, callback: Any) -> None:
        """Called when an exception goes through a callback list: nothing may get lost."""

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Called when a `fit()` ends without `on_train_end`, by Ctrl-C or another exception."""


class Attachment(Part):
    """Ties a callback to the run that it is in, and has its parts.

    It is a part itself, the last one: a callback that has more to do has a class derived from this.

    Attributes:
        recorder: What brings rows from the core, some batches late; None outside compiled lists.
        scope: The run; None before the first one.
        is_silent: Whether this process writes nothing, found out when the callback gets its model.
        nested: The run around an evaluation inside it.
    """

    recorder: _core.Recorder | None = None
    scope: FitScope | None = None
    is_silent = False

    def __init__(self) -> None:
        self.nested = Nested()

    @property
    def parts(self) -> list[Part]:
        """What the callback does besides its own hooks: the attributes that are parts, in order."""
        return [value for value in vars(self).values() if isinstance(value, Part)]

    def hooked(self) -> list[Part]:
        """Whose methods are called with the callback's hooks: the parts, and this one at last."""
        return [*self.parts, self]

    def attach(self, recorder: _core.Recorder) -> bool:
        """Takes rows from a recorder; False if there is one already.

        Rows of two callback lists would come in the wrong order.
        """
        if self.recorder is None:
            self.recorder = recorder
        return self.recorder is recorder

    def detach(self) -> None:
        """Takes no more rows."""
        self.drain()
        self.recorder = None

    def drain(self) -> None:
        """Brings everything up to date; called before a tracked attribute is read or written."""
        recorder = self.recorder  # another thread may look while a fit ends
        if recorder is not None:
            recorder.settle()

    def bring_up_to_date(self, callback: Any) -> None:
        """Called before the callback is copied."""
        self.drain()

    @property
    def callback_list(self) -> Any:
        """The list that the callback is in; None outside of one."""
        return None if self.scope is None else self.scope.callback_list

    def siblings(self) -> list[Any]:
        """The callbacks of the list that the callback is in; itself too."""
        callback_list = self.callback_list
        return [] if callback_list is None else list(callback_list.callbacks)

    def flush_all(self, callback: Any) -> None:
        """Flushes the callback and its parts."""
        for part in self.hooked():
            part.flush(callback)

    def abandon(self, callback: Any, *, fit: bool, interrupted: bool) -> None:
        """Called when a run ends without its `on_*_end`.

        Args:
            callback: The callback.
            fit: Whether the run is a `fit()`, and no `evaluate()` or `predict()`.
            interrupted: Whether Ctrl-C has ended it, and no other exception.
        """
        self.detach()
        self.nested.abandon(callback, fit=fit)
        for part in self.hooked() if fit else ():
            part.close(callback, interrupted=interrupted)

    def __getstate__(self) -> dict[str, Any]:
        # A copy belongs to no run.
        bound = ("recorder", "scope", "nested", "is_silent")
        return {name: value for name, value in vars(self).items() if name not in bound}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.nested = Nested()

    def twin(self) -> Self:
        """What a copy of the callback has: it shares nothing that changes."""
        twin = copy.copy(self)
        for name, value in vars(twin).items():
            if isinstance(value, Part):
                setattr(twin, name, copy.copy(value))
        return twin

    def announce_rate(self, batch: int, before: float | None, after: float | None) -> None:
        """Tells the callbacks of the list that this one has changed the learning rate."""
        for sibling in self.siblings():
            attachment = attachment_of(sibling)
            if attachment is not None:
                attachment.rate_changed(sibling, batch, before, after)

    def rate_changed(
        self, callback: Any, batch: int, before: float | None, after: float | None
    ) -> None:
        """Called when a callback of the list has changed the learning rate before a batch."""


def set_state(instance: Any, state: Any) -> None:
    """What `__setstate__` does by default, for a state of `object.__getstate__`."""
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    instance.__dict__.update(attributes or {})
    for name, value in slots.items():
        setattr(instance, name, value)


def attachment_of(callback: Any) -> Attachment | None:
    """The attachment of a callback of fitwatch's; None for any other.

    Found in the object itself: a mock has every attribute, and says that it is of any class.
    """
    found = getattr(callback, "__dict__", {}).get("_fitwatch")
    return found if issubclass(type(found), Attachment) else None
