"""ProgbarLogger."""

import copy
from typing import Any

import keras

from fitwatch import _core
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._distributed.output import print_message
from fitwatch._enable import settings
from fitwatch._engine.plan import compiled
from fitwatch._keras import stock, trainer
from fitwatch._sinks.progress_bar import ProgressBar


class ProgbarLogger(FitwatchCallback, keras.callbacks.ProgbarLogger):  # type: ignore[misc]
    """Prints the metrics to stdout while training goes on.

    Same display as `keras.callbacks.ProgbarLogger` in a terminal and in a notebook. Under
    fitwatch's `CallbackList` a batch only counts, and the bar is drawn at most 20 times a second,
    when the values are there. With `fitwatch.enable(validation_progress=True)` the validation
    inside `fit()` is drawn over the line of the epoch while it lasts.

    Raises:
        ValueError: The callback is in its list twice; raised when training begins.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - Where the output is a pipe or a file, or goes to the log, there is a plain line every ten
          seconds and one at the end of every epoch, without control characters. Keras writes the
          bar there too, over and over.
        - Of several processes that train together, rank 0 alone prints: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import ProgbarLogger
        >>> ProgbarLogger().seen
        0
    """

    progbar: Any
    verbose: Any
    target: int | None

    # The bar of the validation that is going on inside `fit()`, where it is shown.
    _fitwatch_validation: ProgressBar | None = None

    def __init__(self) -> None:
        self._fitwatch_progress = _core.Progress(_print)
        super().__init__()

    def set_params(self, params: Any) -> None:
        """Takes the verbosity, which is 0 where another process prints."""
        super().set_params(params)
        if self._fitwatch.is_silent:
            self.verbose = 0

    @property
    def seen(self) -> int:
        """The number of the last batch, counted from 1."""
        return self._fitwatch_progress.seen

    @seen.setter
    def seen(self, batch: int) -> None:
        self._fitwatch_progress.seen = batch

    def on_test_begin(self, logs: Any = None) -> None:
        """Begins a bar, also over that of the epoch where the validation is to be shown."""
        super().on_test_begin(logs)
        self._fitwatch_validation = None  # of one that has failed
        shown = settings.validation_progress and self.verbose == 1
        if shown and self._called_in_fit and type(self.progbar) is ProgressBar:
            target = trainer.validation_steps(self._model)
            self._fitwatch_validation = ProgressBar(
                _core.Progress(_print), target, self.verbose, self._fitwatch_progress
            )

    def on_test_end(self, logs: Any = None) -> None:
        """Ends it."""
        super().on_test_end(logs)
        if self._fitwatch_validation is not None:
            self._fitwatch_validation.end_over()
            self._fitwatch_validation = None

    @compiled("_fitwatch_compile_train")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time."""
        super().on_train_batch_end(batch, logs)

    @compiled("_fitwatch_compile_test")
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time; of a validation inside `fit()` only where that is shown."""
        super().on_test_batch_end(batch, logs)
        if self._fitwatch_validation is not None:
            self._fitwatch_validation.update(batch + 1, (logs or {}).items(), finalize=False)

    @compiled("_fitwatch_compile_predict")
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time."""
        super().on_predict_batch_end(batch, logs)

    def _maybe_init_progbar(self) -> None:
        if self.progbar is None:
            self.progbar = ProgressBar(self._fitwatch_progress, self.target, self.verbose)

    def _fitwatch_compile_train(self, recorder: _core.Recorder) -> Any:
        return self._fitwatch_compile(values=True)

    def _fitwatch_compile_test(self, recorder: _core.Recorder) -> Any:
        if self._fitwatch_validation is not None:
            return self._fitwatch_validation.progress, self._fitwatch_draw_validation
        return None if self._called_in_fit else self._fitwatch_compile(values=True)

    def _fitwatch_compile_predict(self, recorder: _core.Recorder) -> Any:
        return self._fitwatch_compile(values=False)

    def _fitwatch_compile(self, *, values: bool) -> Any:
        self._maybe_init_progbar()
        by_keras = stock.is_library_code(getattr(self._update_progbar, "__func__", None))
        if not by_keras or type(self.progbar) is not ProgressBar:
            return NotImplemented
        self._fitwatch_progress.values = values
        return self._fitwatch_progress, self._fitwatch_draw if values else self._fitwatch_draw_bare

    def _fitwatch_draw(self, batch: int, logs: Any) -> None:
        # Not by way of `seen`, which may be some batches further.
        self.progbar.draw(batch + 1, logs.items())

    def _fitwatch_draw_validation(self, batch: int, logs: Any) -> None:
        if self._fitwatch_validation is not None:
            self._fitwatch_validation.draw(batch + 1, logs.items())

    def _finalize_progbar(self, logs: Any) -> None:
        # A compiled list draws some batches only; Keras's bar keeps what was in the logs of any of
        # them, in the order in which it came up.
        if type(self.progbar) is ProgressBar and self.verbose == 1:
            written = self._fitwatch_progress.written
            seen = written | (logs or {})
            self.progbar.take([(name, seen[name]) for name in written if seen[name] is not None])
        super()._finalize_progbar(logs)

    def _fitwatch_draw_bare(self, batch: int, logs: Any) -> None:
        self.progbar.draw(batch + 1, ())

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        # A copy begins a bar of its own.
        attributes.pop("_fitwatch_validation", None)
        return {**attributes, "progbar": None}, slots

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._fitwatch_progress = copy.copy(self._fitwatch_progress)


def _print(text: str) -> None:
    print_message(text, line_break=False)
