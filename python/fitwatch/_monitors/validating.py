"""Evaluations inside an epoch: the private part of `Validation`."""

from functools import partial
from typing import Any, ClassVar

import keras

from fitwatch import _core
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import from_json
from fitwatch._distributed.voter import Voter
from fitwatch._engine.after_batch import AfterBatch, AfterBatches, Phase, after_batches
from fitwatch._engine.attachment import Attachment, attachment_of
from fitwatch._engine.plan import Form, recorder_of
from fitwatch._keras import backend, trainer
from fitwatch._keras.evaluation import Evaluation
from fitwatch._keras.frames import ValidationData, fit_of


def _lists(value: Any) -> dict[str, list[Any]]:
    value = from_json(value)
    if not isinstance(value, dict) or not all(type(one) is list for one in value.values()):
        raise ValueError("a dict of lists")
    return value


class HistoryState(RunState):
    """The validations of a run."""

    fields: ClassVar = {"history": Field(_lists)}


class Validating(Attachment, AfterBatch, Voter):
    """The attachment of `Validation`."""

    left_out = Attachment.left_out | {"_evaluation", "_joined"}
    phase = Phase.VALIDATE

    _evaluation: Evaluation | None = None
    _joined: AfterBatches | None = None

    def __init__(self) -> None:
        super().__init__()
        self.state = HistoryState()

    def is_needed(self, callback: Any) -> bool:
        return True

    def wants_validations(self, callback: Any) -> bool:
        return True

    def begin(self, callback: Any) -> None:
        """Called when training begins.

        Raises:
            ValueError: There are no data to evaluate on, or their metrics have the names of others.
        """
        callback.history = {"batch": [], "epoch": []}
        self._joined = after_batches(self.callback_list)
        self._evaluation = _evaluation(callback, trainer.model_of(callback))

    def form(self, callback: Any, recorder: _core.Recorder) -> None:
        """The compiled form of `on_train_batch_end`, which does nothing."""

    def after_batch(self, callback: Any, count: _core.BatchCount) -> Form | None:
        if self._evaluation is None:
            return None
        return _core.Every(count, callback.every), partial(self._validate, callback)

    def act_again(self, callback: Any, batch: int, calls: int, logs: Any) -> None:
        count = None if self._joined is None else self._joined.count
        if count is None or self._evaluation is None:
            return
        every, done = callback.every, callback.history["batch"][-1:] == [count.seen - 1]
        if not done and count.seen // every > (count.seen - calls) // every:
            self._validate(callback, batch, logs)

    def _validate(self, callback: Any, batch: int, logs: Any) -> None:
        callback_list, evaluation, joined = self.callback_list, self._evaluation, self._joined
        if evaluation is None or joined is None:
            return
        recorder = recorder_of(callback_list)
        if recorder is not None:
            recorder.drain()  # a decision about these batches may end the epoch
        count, validations = joined.count, joined.validations
        ends = trainer.model_of(callback).stop_training or count.inside == count.length
        if ends and evaluation.follows(validations.epoch):
            return
        metrics = evaluation.run(callback_list)
        values = {f"{callback.name}_{name}": value for name, value in metrics.items()}
        validations.tell(callback_list, callback.name, {**logs, **values}, is_epochs_own=False)

    def record(self, callback: Any, batch: int, logs: dict[str, Any]) -> None:
        """Adds a validation on the callback's data to its record."""
        validations = None if self._joined is None else self._joined.validations
        if validations is None or validations.prefix != callback.name:
            return
        history, values = callback.history, validations.values
        numbers = {name: backend.to_number(value) for name, value in values.items()}
        for name, value in {"batch": batch, "epoch": validations.epoch, **numbers}.items():
            history.setdefault(name, []).append(value)
        shown = [
            f"{name} {value:.6g}" for name, value in numbers.items() if isinstance(value, float)
        ]
        self.announce("validation", ", ".join(shown))

    def train_end(self, callback: Any) -> None:
        self._evaluation = self._joined = None


def validation_names(callbacks: list[Any]) -> set[str]:
    """The names of the Validation callbacks in a list."""
    found = (one for one in callbacks if isinstance(attachment_of(one), Validating))
    return {str(one.name) for one in found}


def _evaluation(callback: Any, model: Any) -> Evaluation:
    fit = None if model is None else fit_of(model)
    of_fit = None if fit is None else fit.validation
    if callback.validation_data is None:
        _check_names(callback, [])
        if of_fit is None:
            raise ValueError(
                "Validation needs data: give fit() validation_data or validation_split, or give "
                "Validation(validation_data=...)."
            )
        return Evaluation(model, of_fit, fit, of_fit=True)
    _check_names(callback, [] if of_fit is None else ["val"])
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(callback.validation_data)
    data = ValidationData(x, y, sample_weight, callback.batch_size, callback.steps)
    return Evaluation(model, data, fit, of_fit=False)


def _check_names(callback: Any, others: list[str]) -> None:
    """Checks that the metrics of each validation in the list have names of their own."""
    for sibling in callback._fitwatch.siblings():
        if sibling is not callback and isinstance(attachment_of(sibling), Validating):
            others = [*others, sibling.name]
    for other in others:
        if callback.name == other or f"{callback.name}_".startswith(f"{other}_"):
            raise ValueError(
                f"name must be another one than {callback.name!r}: metrics of another validation "
                f"begin with '{other}_'."
            )
