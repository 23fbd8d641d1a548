"""ThroughputMonitor."""

from typing import Any

from fitwatch import _check
from fitwatch._engine.plan import recorder_of
from fitwatch._monitors.health import HealthMonitor
from fitwatch._monitors.throughput import Speed


class ThroughputMonitor(HealthMonitor):
    """Measures how fast `fit()` trains, and estimates when it ends.

    It adds columns to what the other callbacks in the list write, record and monitor, one value in
    a call of the train function:

    - `batches_per_second`, `samples_per_second`: over the last `window` batches, with the time
      between them, in which callbacks run. Of several processes, the samples of all.
    - `step_time_p50`, `step_time_p90`, `step_time_p99`: quantiles of the seconds that a batch of
      this `fit()` took, to 2%. With `steps_per_execution`, the mean of a call counts for each of
      its batches.
    - `data_wait`: the share (0 to 1) of the time of these `window` batches in which the training
      waited for data.
    - `eta_seconds`: the seconds until the last epoch ends; the progress bar shows it. Validations
      and ends of epochs count as they were so far, and early stopping does not. NaN in the first
      call, and in the first epoch where Keras does not know the number of its batches.

    The logs of an epoch have the last values. A metric with the name of a column keeps it, and
    fitwatch warns. Validations and ends of epochs count in no other column. A device that runs
    ahead of the program makes single steps look shorter or longer, but not the rates.

    On TensorFlow there is no `data_wait`, because batches are fetched inside its graph, and
    `samples_per_second` exists for arrays and for `tf.data` datasets whose batch size is fixed
    (`drop_remainder=True`).

    Args:
        window: How many batches rates are computed over (1 or more). Default 100.
        report: Whether to print a table of where the time went when `fit()` ends: training steps,
            waiting for data, validation, saving, and each callback by name. Keras's own list does
            not tell the time of callbacks, which is then part of "other". Default False.

    Raises:
        ValueError: `window` is not a whole number of 1 or more, or `report` is neither True nor
            False; or the callback is in its list twice, which is raised when training begins.
        TypeError: `window` is not a number.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> from fitwatch.callbacks import ThroughputMonitor
        >>> ThroughputMonitor(window=20, report=True).window
        20
    """

    _fitwatch_type = Speed
    _fitwatch: Speed

    def __init__(self, *, window: int = 100, report: bool = False) -> None:
        super().__init__()
        self.window = _check.count("window", window, minimum=1)
        self.report = _check.flag("report", report)

    def on_test_begin(self, logs: Any = None) -> None:
        """Excludes the validation from the time of batches."""
        super().on_test_begin(logs)
        self._fitwatch.begin_validation()

    def on_test_end(self, logs: Any = None) -> None:
        """Adds up the time of validations."""
        super().on_test_end(logs)
        self._fitwatch.end_validation()

    def on_train_end(self, logs: Any = None) -> None:
        """Prints where the time went, in a list of Keras's; a compiled list asks for it later."""
        super().on_train_end(logs)
        if recorder_of(self._fitwatch.callback_list) is None:
            self._fitwatch.fit_ended(self)
