"""Evaluations inside an epoch: the private part of `Validation`."""

from functools import partial
from typing import Any, ClassVar

import keras

from fitwatch import _core
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import from_json
from fitwatch._distributed.voter import Voter
from fitwatch._engine.after_batch import AfterBatch, AfterBatches, Phase, after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.hooks_around import wrap_hooks
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

    left_out = Attachment.left_out | {"_evaluation", "_joined", "_newest"}
    phase = Phase.VALIDATE

    _evaluation: Evaluation | None = None
    _joined: AfterBatches | None = None
    # After how many batches the newest validation was, and its metrics.
    _newest: tuple[int, dict[str, Any]] = (0, {})

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
        callback.history, self._newest = {"batch": [], "epoch": []}, (0, {})
        model, callback_list = trainer.model_of(callback), self.callback_list
        self._joined = after_batches(callback_list)
        self._evaluation = _evaluation(callback, model)
        if callback_list is not None and recorder_of(callback_list) is None:
            before = {"on_epoch_end": lambda epoch, logs=None: self.add_to_logs(logs)}
            wrap_hooks(callback_list, callback, before=before, failed=lambda error: None)

    def form(self, callback: Any, recorder: _core.Recorder) -> None:
        """The compiled form of `on_train_batch_end`, which does nothing."""

    def after_batch(self, callback: Any, count: _core.BatchCount) -> Form | None:
        if self._evaluation is None:
            return None
        return _core.Every(count, callback.every), partial(self._validate, callback)

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
        self._newest = (batch + 1, numbers)
        for name, value in {"batch": batch, "epoch": validations.epoch, **numbers}.items():
            history.setdefault(name, []).append(value)
        shown = [
            f"{name} {value:.6g}" for name, value in numbers.items() if isinstance(value, float)
        ]
        self.announce("validation", ", ".join(shown))

    def add_to_logs(self, logs: Any) -> None:
        """Adds the metrics of a validation after the last batch of an epoch to the epoch's logs."""
        seen, values = self._newest
        if self._joined is not None and seen == self._joined.count.seen and isinstance(logs, dict):
            for name, value in values.items():
                logs.setdefault(name, value)

    def train_end(self, callback: Any) -> None:
        self._evaluation = self._joined = None


def _evaluation(callback: Any, model: Any) -> Evaluation:
    fit = None if model is None else fit_of(model)
    of_fit = None if fit is None else fit.validation
    own = callback.validation_data
    options = {"batch_size": callback.batch_size, "steps": callback.steps}
    given = {name: value for name, value in options.items() if value is not None}
    if own is not None:
        if of_fit is not None and callback.name == "val":
            raise ValueError(
                "name must be another one than 'val', which is that of fit()'s own validation "
                "data: Validation(validation_data=..., name='test')."
            )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(own)
        data = ValidationData(x, y, sample_weight, **given)
        return Evaluation(model, data, of_fit=False, shared=False)
    if of_fit is None:
        raise ValueError(
            "Validation needs data: give fit() validation_data or validation_split, or give "
            "Validation(validation_data=...)."
        )
    return Evaluation(model, of_fit._replace(**given), of_fit=True, shared=not given)
