"""Which callback list a callback is in, and that it is in no more than one."""

import sys
import threading
import weakref
from collections.abc import Iterable
from types import FrameType
from typing import Any

from fitwatch._distributed.coordinator import join
from fitwatch._keras import stock, trainer


class Run:
    """A callback list at work."""

    def __init__(self, callback_list: Any) -> None:
        self.thread = threading.get_ident()
        self._callback_list = weakref.ref(callback_list)

    @property
    def callback_list(self) -> Any:
        """The list; None once it is gone."""
        return self._callback_list()

    def is_of(self, callback_list: Any) -> bool:
        """Whether it is that list, at work in this thread."""
        return self.callback_list is callback_list and self.thread == threading.get_ident()

    def is_fitting(self) -> bool:
        """Whether its `fit()` is still going on; one that an exception has ended is not."""
        callback_list = self.callback_list
        frame = sys._current_frames().get(self.thread)
        while callback_list is not None and frame is not None:
            if trainer.trainer_method(frame) == "fit" and _holds(frame, callback_list):
                return True
            frame = frame.f_back
        return False

    def __reduce__(self) -> Any:
        # A copy of the callback is in no list.
        return type(None), ()


class Owned:
    """Mixin for a Keras callback: it stands in its list once, and in one `fit()` at a time.

    Differs from Keras, where the numbers of such a callback would be those of two runs mixed.
    """

    _fitwatch_run: Run | None = None

    def set_model(self, model: Any) -> None:
        """Takes the model.

        Raises:
            ValueError: The callback is in its list twice.
            RuntimeError: Another `fit()` that is going on has it too.
        """
        self._fitwatch_own(model)
        super().set_model(model)  # type: ignore[misc]

    def _fitwatch_begin_fit(self) -> None:
        self._fitwatch_own(None)
        super()._fitwatch_begin_fit()  # type: ignore[misc]

    def _fitwatch_own(self, model: Any) -> None:
        callback_list, method = _caller()
        if callback_list is None:
            return
        refuse_twice(self, callback_list.callbacks)
        if method in ("evaluate", "predict"):
            return
        run = self._fitwatch_run
        if run is not None and not run.is_of(callback_list) and run.is_fitting():
            if method == "fit":
                raise RuntimeError(
                    f"this {type(self).__name__} belongs to another fit() that is still going on; "
                    "make one for each."
                )
            return  # an evaluation inside that fit
        self._fitwatch_run = Run(callback_list)
        if model is not None:
            join(callback_list, model)

    def _fitwatch_companions(self) -> list[Any]:
        """The callbacks of the list that this one is in; itself too."""
        callback_list = None if self._fitwatch_run is None else self._fitwatch_run.callback_list
        return [] if callback_list is None else list(callback_list.callbacks)


def refuse_twice(callback: Any, callbacks: Iterable[Any]) -> None:
    """Refuses a list that has a callback of ours twice.

    Raises:
        ValueError: It does.
    """
    if isinstance(callback, Owned) and sum(other is callback for other in callbacks) > 1:
        raise ValueError(
            f"the same {type(callback).__name__} is in the list of callbacks twice; make two of "
            "them, or leave one out."
        )


def _caller() -> tuple[Any, str | None]:
    """The callback list that is calling `set_model`, and the trainer's method that makes it.

    The list is made by the first frame that is neither a method of it nor code of fitwatch.
    """
    callback_list = None
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        owner = frame.f_locals.get("self")
        # By its type: asking an object that stands for another may raise.
        if callback_list is None and issubclass(type(owner), stock.STOCK["CallbackList"]):
            callback_list = owner
        ours = owner is callback_list or frame.f_code.co_filename.startswith(stock.OURS)
        if callback_list is not None and not ours:
            return callback_list, trainer.trainer_method(frame)
        frame = frame.f_back
    return callback_list, None


def _holds(frame: FrameType, value: Any) -> bool:
    return any(local is value for local in frame.f_locals.values())
