"""The base class of fitwatch's callbacks."""

from collections.abc import Iterable
from typing import Any, ClassVar

import keras

from fitwatch._distributed.coordinator import join
from fitwatch._distributed.world import is_writer
from fitwatch._enable import fit_scope
from fitwatch._engine import after_batch, old_pickles
from fitwatch._engine.attachment import Attachment, attachment_of, set_state
from fitwatch._keras.frames import calling_list


class FitwatchCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Precedes Keras's class in the bases: adds the attachment and calls its parts from the hooks.

    Differs from Keras: a callback may be in its list only once, and in one `fit()` at a time. In
    Keras such a callback mixes the numbers of two runs.
    """

    _fitwatch_type: ClassVar[type[Attachment]] = Attachment
    _fitwatch: Any

    # Defaults on the class: a subclass may leave these out of a copy.
    _model: Any = None
    params: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Not in __init__: a subclass may assign attributes before it calls super().__init__().
        new = super().__new__
        self = new(cls) if new is object.__new__ else new(cls, *args, **kwargs)
        self._fitwatch = cls._fitwatch_type()
        return self

    def set_model(self, model: Any) -> None:
        """Sets the model.

        Raises:
            ValueError: The callback is in its list twice.
            RuntimeError: Another running `fit()` uses the callback.
        """
        enter(self, model)
        self._fitwatch.nested.replace(self)
        super().set_model(model)
        self._fitwatch.is_silent = not is_writer(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        begin_fit(self)
        super().on_train_begin(logs)
        for part in self._fitwatch.hooked():
            part.train_begin(self)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch begins."""
        begin_epoch(self, epoch)
        super().on_epoch_begin(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        super().on_train_end(logs)
        end_fit(self)

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation begins: the fit's own validation, or a nested one."""
        self._fitwatch.nested.begin_test(self)
        super().on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Called when an evaluation ends."""
        super().on_test_end(logs)
        self._fitwatch.nested.end_test(self)

    def __getstate__(self) -> Any:
        self._fitwatch.bring_up_to_date(self)
        state = super().__getstate__()
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        return dict(attributes or {}), slots

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        if "_fitwatch" not in (attributes or {}):
            attributes = old_pickles.take(self._fitwatch, attributes or {})
        set_state(self, (attributes, slots))
        # `copy.copy` passes the original's attachment.
        self._fitwatch = self._fitwatch.twin()


def enter(callback: Any, model: Any) -> None:
    """Finds the run of a callback, when it gets its model; with None, when its `fit()` begins.

    Raises:
        ValueError: The callback is in its list twice.
        RuntimeError: Another running `fit()` uses the callback.
    """
    callback_list, method = calling_list()
    if callback_list is None:
        return
    refuse_twice(callback, callback_list.callbacks)
    if method in ("evaluate", "predict"):
        return
    attachment = callback._fitwatch
    scope = attachment.scope
    if scope is not None and not scope.is_of(callback_list) and scope.is_fitting():
        if method == "fit":
            raise RuntimeError(
                f"this {type(callback).__name__} belongs to another fit() that is still going on; "
                "make one for each."
            )
        return  # an evaluation inside that fit
    attachment.scope = fit_scope.join(method, callback_list)
    if model is not None:
        join(callback_list, model)
        after_batch.join(callback_list)


def begin_fit(callback: Any) -> None:
    """Called first in a callback's `on_train_begin`; raises as `enter` does."""
    enter(callback, None)
    callback._fitwatch.nested.begin_fit()


def begin_epoch(callback: Any, epoch: int) -> None:
    """Called first in a callback's `on_epoch_begin`."""
    for part in callback._fitwatch.hooked():
        part.epoch_begin(callback, epoch)


def end_fit(callback: Any) -> None:
    """Called last in a callback's `on_train_end`."""
    callback._fitwatch.nested.end_fit()
    for part in callback._fitwatch.hooked():
        part.train_end(callback)


def refuse_twice(callback: Any, callbacks: Iterable[Any]) -> None:
    """Checks that a list has one of fitwatch's callbacks only once.

    Raises:
        ValueError: The callback is in the list twice.
    """
    if attachment_of(callback) is not None and list(map(id, callbacks)).count(id(callback)) > 1:
        raise ValueError(
            f"the same {type(callback).__name__} is in the list of callbacks twice; make two of "
            "them, or leave one out."
        )
