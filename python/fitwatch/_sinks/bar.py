"""The bars of `ProgbarLogger`."""

from typing import Any

from fitwatch import _core
from fitwatch._distributed.world import print_message
from fitwatch._enable import settings
from fitwatch._engine.attachment import Attachment
from fitwatch._keras import stock, trainer
from fitwatch._sinks.progress_bar import ProgressBar


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

    def form(self, callback: Any, *, values: bool) -> Any:
        """The compiled form of the hook that ends a batch."""
        callback._maybe_init_progbar()
        by_keras = not stock.is_overridden(callback, "_update_progbar")
        if not by_keras or type(callback.progbar) is not ProgressBar:
            return NotImplemented
        self.progress.values = values

        def draw(batch: int, logs: Any) -> None:
            # Not by `seen`, which may be some batches ahead.
            callback.progbar.draw(batch + 1, logs.items() if values else ())

        return self.progress, draw

    def form_validation(self) -> Any:
        """The same for a validation that is shown."""
        if self.validation is None:
            return None

        def draw(batch: int, logs: Any) -> None:
            if self.validation is not None:
                self.validation.draw(batch + 1, logs.items())

        return self.validation.progress, draw


def form_train(callback: Any, recorder: _core.Recorder) -> Any:
    """The compiled form of `on_train_batch_end`."""
    return callback._fitwatch.form(callback, values=True)


def form_test(callback: Any, recorder: _core.Recorder) -> Any:
    """The same for `on_test_batch_end`."""
    own = callback._fitwatch
    if own.validation is not None:
        return own.form_validation()
    return None if callback._called_in_fit else own.form(callback, values=True)


def form_predict(callback: Any, recorder: _core.Recorder) -> Any:
    """The same for `on_predict_batch_end`."""
    return callback._fitwatch.form(callback, values=False)


def print_text(text: str) -> None:
    """Prints a part of a line."""
    print_message(text, line_break=False)
