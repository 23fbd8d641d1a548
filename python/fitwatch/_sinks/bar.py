"""The bars of `ProgbarLogger`."""

from typing import Any

from fitwatch import _core
from fitwatch._distributed.world import print_message
from fitwatch._enable import settings
from fitwatch._engine import readers
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_user import StepUser
from fitwatch._keras import stock, trainer
from fitwatch._sinks.progress_bar import ProgressBar


class BarSteps(StepUser):
    """The columns of health monitors that the bar shows."""

    def kinds(self, callback: Any) -> Kind:
        return Kind.IN_BAR


class Bar(Attachment):
    """The attachment of `ProgbarLogger`.

    Attributes:
        progress: The core's part of the bar.
        validation: The bar of the validation that is running inside `fit()`, if it is shown.
    """

    left_out = Attachment.left_out | {"validation"}
    copied = frozenset({"progress"})

    validation: ProgressBar | None = None

    def __init__(self) -> None:
        super().__init__()
        self.progress = _core.Progress(print_text)
        self.steps = BarSteps()

    def train_begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.steps.begin(callback)

    def see(self, callback: Any, batch: int, logs: Any) -> bool:
        """Draws the bar with columns of health monitors; False if there are none."""
        form = self.form_train(callback) if self.steps.columns is not None else NotImplemented
        if form is NotImplemented:
            return False
        feed, draw = form
        feed.push(batch, logs, draw, readers.reader())
        return True

    def begin_validation(self, callback: Any) -> None:
        """Begins the bar of a validation inside `fit()`, if it is to be shown."""
        self.validation = None  # left by a validation that failed
        shown = settings.validation_progress and callback.verbose == 1
        if shown and callback._called_in_fit and type(callback.progbar) is ProgressBar:
            target = trainer.validation_steps(callback._model)
            bar = _core.Progress(print_text)
            self.validation = ProgressBar(bar, target, callback.verbose, self.progress)

    def end_validation(self) -> None:
        """Ends it."""
        if self.validation is not None:
            self.validation.end_over()
            self.validation = None

    def see_validation(self, callback: Any, logs: dict[str, Any]) -> None:
        """Takes the logs of a validation inside an epoch; `fit()` passes those of its own."""
        joined = after_batches(self.callback_list)
        if joined is None or joined.validations.is_epochs_own:
            return
        if type(callback.progbar) is ProgressBar:
            callback.progbar.take(logs.items())

    def form_train(self, callback: Any, recorder: _core.Recorder | None = None) -> Any:
        """The compiled form of `on_train_batch_end`."""
        form = self._form(callback, values=True)
        if form is NotImplemented:
            return form
        return self.steps.feed(callback, self.progress), form[1]

    def form_test(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The same for `on_test_batch_end`."""
        if self.validation is not None:
            return self.validation.progress, self._draw_validation
        return None if callback._called_in_fit else self._form(callback, values=True)

    def form_predict(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The same for `on_predict_batch_end`."""
        return self._form(callback, values=False)

    def _form(self, callback: Any, *, values: bool) -> Any:
        callback._maybe_init_progbar()
        by_keras = not stock.is_overridden(callback, "_update_progbar")
        if not by_keras or type(callback.progbar) is not ProgressBar:
            return NotImplemented
        self.progress.values = values

        def draw(batch: int, logs: Any) -> None:
            # Not by `seen`, which may be some batches ahead.
            callback.progbar.draw(batch + 1, logs.items() if values else ())

        return self.progress, draw

    def _draw_validation(self, batch: int, logs: Any) -> None:
        if self.validation is not None:
            self.validation.draw(batch + 1, logs.items())


def print_text(text: str) -> None:
    """Prints a part of a line."""
    print_message(text, line_break=False)
