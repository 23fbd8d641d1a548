"""ProgbarLogger."""

from typing import Any

import keras

from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._sinks.bar import Bar
from fitwatch._sinks.bar import print_text as _print  # noqa: F401 (in pickles of 0.1.0)
from fitwatch._sinks.progress_bar import ProgressBar


class ProgbarLogger(FitwatchCallback, keras.callbacks.ProgbarLogger):  # type: ignore[misc]
    """Prints the metrics to stdout during training.

    Same display as `keras.callbacks.ProgbarLogger` in a terminal and in a notebook. Under
    fitwatch's `CallbackList` batches are only counted, and the bar is drawn at most 20 times a
    second, when values are ready. With `fitwatch.enable(validation_progress=True)` the validation
    inside `fit()` is drawn over the line of the epoch while it runs.

    Raises:
        ValueError: The callback is in its list twice; raised when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - If the output is a pipe, a file or a log, it gets a plain line every ten seconds and at
          the end of every epoch, without control characters. Keras writes the bar repeatedly.
        - Of several processes that train together, only rank 0 prints: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import ProgbarLogger
        >>> ProgbarLogger().seen
        0
    """

    progbar: Any
    verbose: Any
    target: int | None

    _fitwatch_type = Bar
    _fitwatch: Bar

    def __init__(self) -> None:  # or else `inspect` would show the arguments of `__new__`
        super().__init__()

    def set_params(self, params: Any) -> None:
        """Sets the verbosity, to 0 if another process prints."""
        super().set_params(params)
        if self._fitwatch.is_silent:
            self.verbose = 0

    @property
    def seen(self) -> int:
        """The number of the last batch, counted from 1."""
        return self._fitwatch.progress.seen

    @seen.setter
    def seen(self, batch: int) -> None:
        self._fitwatch.progress.seen = batch

    def on_test_begin(self, logs: Any = None) -> None:
        """Begins a bar; with `validation_progress`, over that of the epoch."""
        super().on_test_begin(logs)
        self._fitwatch.begin_validation(self)

    def on_test_end(self, logs: Any = None) -> None:
        """Ends the bar."""
        super().on_test_end(logs)
        self._fitwatch.end_validation()

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Shows the metrics of a validation inside an epoch from the next redraw on."""
        self._fitwatch.see_validation(self, logs)

    @compiled(Bar.form_train)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if a redraw is due."""
        if not self._fitwatch.see(self, batch, logs):
            super().on_train_batch_end(batch, logs)

    @compiled(Bar.form_test)
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if a redraw is due; inside `fit()` only with `validation_progress`."""
        super().on_test_batch_end(batch, logs)
        validation = self._fitwatch.validation
        if validation is not None:
            validation.update(batch + 1, (logs or {}).items(), finalize=False)

    @compiled(Bar.form_predict)
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if a redraw is due."""
        super().on_predict_batch_end(batch, logs)

    def _maybe_init_progbar(self) -> None:
        if self.progbar is None:
            self.progbar = ProgressBar(self._fitwatch.progress, self.target, self.verbose)

    def _finalize_progbar(self, logs: Any) -> None:
        # A compiled list draws only some batches; Keras's bar shows all metrics that any batch had,
        # in the order of their first appearance.
        if type(self.progbar) is ProgressBar and self.verbose == 1:
            written = self._fitwatch.progress.written
            seen = written | (logs or {})
            self.progbar.take([(name, seen[name]) for name in written if seen[name] is not None])
        super()._finalize_progbar(logs)

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        # A copy begins a new bar.
        return {**attributes, "progbar": None}, slots
