"""Actions after a batch, once every callback of the list has seen it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._engine import readers
from fitwatch._engine.attachment import attachment_of
from fitwatch._engine.hooks_around import wrap_hooks
from fitwatch._engine.plan import Form


class Phase(IntEnum):
    """The order of the actions."""

    ROLL_BACK = 0
    VALIDATE = 1


class AfterBatch:
    """Mixed into an attachment that acts after a batch."""

    phase: ClassVar[Phase]

    def after_batch(self, callback: Any) -> Form | None:
        """The sink that tells when the action is due, and the action; None for nothing."""
        raise NotImplementedError


def planned(callbacks: Iterable[Any]) -> list[tuple[Any, Form]]:
    """What a compiled list runs after all callbacks."""
    forms = []
    for callback in callbacks:
        attachment = attachment_of(callback)
        if isinstance(attachment, AfterBatch):
            form = attachment.after_batch(callback)
            if form is not None:
                forms.append((attachment.phase, form))
    return [(form[1], form) for _, form in sorted(forms, key=lambda one: one[0])]


def run_in_stock_list(callback: Any) -> None:
    """Makes a list of Keras's run the action of a callback."""
    own = callback._fitwatch
    form = own.after_batch(callback)
    if form is None or own.callback_list is None:
        return
    feed, action = _core.Feed(form[0]), form[1]

    def after(batch: int, logs: Any = None) -> None:
        feed.push(batch, logs, action, readers.reader())

    wrap_hooks(
        own.callback_list,
        feed,
        after={"on_train_batch_end": after},
        failed=lambda error: None,
    )
