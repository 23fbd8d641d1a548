"""Actions after a batch, once every callback of the list has seen it."""

from enum import IntEnum
from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._engine import readers
from fitwatch._engine.attachment import attachment_of
from fitwatch._engine.hooks_around import Action, wrap_hooks
from fitwatch._engine.plan import Form, recorder_of
from fitwatch._engine.validations import Validations
from fitwatch._keras import trainer
from fitwatch._keras.frames import fit_of


class Phase(IntEnum):
    """The order of the actions after one batch. A backup that is due comes after all of them."""

    ROLL_BACK = 1
    """What follows must see the weights with which the training goes on."""
    VALIDATE = 2


class AfterBatch:
    """Mixed into the attachment of a callback that acts once all callbacks have seen a batch."""

    phase: ClassVar[Phase]

    def after_batch(self, callback: Any, count: _core.BatchCount) -> Form | None:
        """What tells when an action is due, and the action.

        Called when training, an epoch or an evaluation begins.

        Args:
            callback: The callback.
            count: Counts the batches of this run.

        Returns:
            A sink, such as `_core.Every(count, every)`, and a function of the batch and its logs.
            The function may run hooks of the same list. None if there is nothing to do.
        """
        raise NotImplementedError

    def act_again(self, callback: Any, batch: int, calls: int, logs: Any) -> None:
        """Called where a run goes on that was ended in the actions after this batch.

        `calls` is the number of batches that the last call of the train function has trained.
        """


class AfterBatches:
    """What a list does after its batches: counts them, and runs the actions of its callbacks.

    Attributes:
        count: Counts the batches of the run, also across epochs.
        validations: Tells the callbacks about validations.
    """

    def __init__(self) -> None:
        self.count = _core.BatchCount()
        self.validations = Validations(self.count)
        # The iterator of the run's batches, and how many of the epoch that begins are counted.
        self._epoch_iterator: Any = None
        self._trained = 0

    def begin(self, callback_list: Any) -> None:
        """Called when training begins."""
        self.count.seen = self._trained = 0
        fit = fit_of(trainer.model_of(callback_list)) if self.is_wanted(callback_list) else None
        self.validations.begin(of_fit=fit is not None and fit.validation is not None)
        self._epoch_iterator = None if fit is None else fit.epoch_iterator

    def go_on(self, seen: int, trained: int) -> None:
        """Makes the epoch that begins continue a run.

        Args:
            seen: The batches of that run.
            trained: Those of this epoch, of which the others follow.
        """
        self.count.seen, self._trained = seen, trained

    def epoch_begin(self, epoch: int) -> None:
        """Called when an epoch begins."""
        # The length may have become known in the epoch before.
        length = getattr(self._epoch_iterator, "num_batches", None)
        self.count.begin_epoch(length, self._trained)
        self._trained = 0
        self.validations.epoch = epoch

    def end(self) -> None:
        """Called when the run has ended."""
        self._epoch_iterator = None

    def is_wanted(self, callback_list: Any) -> bool:
        """Whether a callback of the list acts after batches, or is told about validations."""
        callbacks = callback_list.callbacks
        return self.validations.are_wanted(callbacks) or any(map(_acts, callbacks))

    def planned(self, callback_list: Any) -> list[Form]:
        """What to do after a batch, in order."""
        if not self.is_wanted(callback_list):
            return []
        acting: list[tuple[AfterBatch, Any]] = []
        for callback in callback_list.callbacks:
            own: Any = attachment_of(callback)
            if isinstance(own, AfterBatch):
                acting.append((own, callback))
        acting.sort(key=lambda pair: pair[0].phase)
        forms = [own.after_batch(one, self.count) for own, one in acting]
        counts: Form = (self.count, _nothing)
        return [counts, *(form for form in forms if form is not None)]


def after_batches(callback_list: Any) -> AfterBatches | None:
    """What a list does after its batches; None for a list without fitwatch's callbacks."""
    found = getattr(callback_list, "__dict__", {}).get("_fitwatch_after_batches")
    return found if isinstance(found, AfterBatches) else None


def join(callback_list: Any) -> None:
    """Gives a list what it does after its batches. A compiled list calls it, others are wrapped."""
    if after_batches(callback_list) is not None:
        return
    joined = callback_list._fitwatch_after_batches = AfterBatches()
    if recorder_of(callback_list) is None and joined.is_wanted(callback_list):
        stock = _InStockList(callback_list, joined)
        before: dict[str, Action] = {
            "on_train_begin": stock.train_begin,
            "on_epoch_end": stock.before_epoch_end,
        }
        after: dict[str, Action] = {
            "on_epoch_begin": stock.epoch_begin,
            "on_train_batch_end": stock.batch_end,
            "on_train_end": stock.train_end,
        }
        wrap_hooks(callback_list, joined, before=before, after=after, failed=lambda error: None)


class _InStockList:
    """Runs the actions of the callbacks of one of Keras's lists."""

    def __init__(self, callback_list: Any, joined: AfterBatches) -> None:
        self._list, self._joined = callback_list, joined
        self._feeds: list[tuple[_core.Feed, Any]] | None = None

    def train_begin(self, logs: Any = None) -> None:
        self._joined.begin(self._list)

    def epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._joined.epoch_begin(epoch)
        self._feeds = None

    def batch_end(self, batch: int, logs: Any = None) -> None:
        if self._feeds is None:
            self._feeds = [
                (_core.Feed(sink), act) for sink, act in self._joined.planned(self._list)
            ]
        for feed, act in self._feeds:
            feed.push(batch, logs, act, readers.reader())

    def before_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._joined.validations.epoch_end(self._list, epoch, logs)

    def train_end(self, logs: Any = None) -> None:
        self._joined.end()


def _acts(callback: Any) -> bool:
    return isinstance(attachment_of(callback), AfterBatch)


def _nothing(batch: int, logs: Any) -> None:
    """The core does everything."""
