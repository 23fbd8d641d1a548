"""SpikeDetection."""

import math
from typing import Any

from fitwatch import _check
from fitwatch._checkpoint.rollback import Rollback
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._core import Spikes
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._monitors.spikes import Spiking


class SpikeDetection(FitwatchCallback):
    """Sees when the loss of a batch jumps; reports it, stops the training, or rolls it back.

    Each batch is judged by its own loss (see `LossHistory`), or the value that another training
    metric has for the batch alone. Where that is not available, a warning says so, and the mean
    over the epoch so far is judged, in which a spike shows less.

    A value `x` is a spike if it is not finite, or if `x > mean + threshold * deviation`. The mean
    is the exponential one of the values before it, over a tenth of `window` batches; the deviation
    is the mean distance from it, over `window` batches. A value changes them by at most 5
    deviations, so that spikes hardly move them; a level that lasts is accepted within about
    `window` batches. With the default arguments, fewer than one batch in a million of a loss that
    is just noisy is taken for a spike.

    With `action="rollback"`, a copy of the training is taken in host memory every `snapshot_every`
    batches: weights, other variables with the seeds of random layers, the optimizer with its
    iterations and loss scale, and metrics. After a spike all of them go back to the newest copy
    that is at least `max_lag` batches older, and the training goes on with the data that follow, so
    that a bad stretch of them is skipped. It goes back when the values have become ordinary again,
    at the latest 32 batches after the first spike, or at the end of the epoch, before callbacks see
    it (a validation in `fit()` comes before). What `EarlyStopping` and `ReduceLROnPlateau` of the
    same list have seen goes back too; numbers of batches, and what was written, stay. If something
    stops the training meanwhile, such as `TerminateOnNaN`, it does not go back.

    A `CSVLogger` that writes rows of batches gets a column `spike`, with the value in the row of
    its batch, or in the next row if the logger stands before this callback. `TensorBoard` with
    `write_events` gets a text.

    Args:
        monitor: Name of the training metric to watch. Default `"loss"`.
        mode: `"min"` looks for values that are too large, `"max"` for those that are too small,
            `"auto"` (default) looks at the model's metrics.
        threshold: How many deviations from the mean a spike is, at least (more than 0). Of normal
            noise, 25 deviations are 20 standard deviations. Default 25.
        window: Batches over which the deviation is taken (1 or more). Default 100.
        warmup: Batches, from the first one, in which only values that are not finite are spikes.
            Default 100.
        action: `"report"` (default), `"stop"`, or `"rollback"`.
        snapshot_every: Batches between two copies (1 or more). The first one is taken after the
            first batch. Default 1000.
        max_to_keep: How many copies are kept (2 or more). Default 2.
        lr_factor: What the learning rate is multiplied by at a rollback (more than 0, at most 1):
            after n rollbacks since a copy it is the copy's rate times `lr_factor ** n`. Default 1.
        max_rollbacks: How often the training goes back within `window` batches (1 or more); the
            next spike stops it, after it has gone back. Default 3.

    Attributes:
        spikes: What was seen: a list of dicts with `batch` (from 0, across epochs), `value`,
            `expected` (the mean; None if there was none) and `action`: `"report"`, `"stop"`, or
            `"rollback"` if it was undone. Of values in a row that are not finite, the first one.
        stop_reason: Why training was stopped, in words; None if it was not.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, to roll back, the weights are sharded over processes,
            the optimizer has a `LearningRateSchedule` and `lr_factor` is not 1, or copies are too
            close to each other for `max_lag`; or, in the first batch, `mode="auto"` and the
            metric's direction is not known.
        TypeError: An argument has the wrong type.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> import keras, numpy as np
        >>> from fitwatch.callbacks import SpikeDetection
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(640, 1))
        >>> y = np.where(np.arange(640)[:, None] == 600, 1e4, x)
        >>> detection = SpikeDetection(warmup=10, action="stop")
        >>> history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[detection])
        Stopping the training: a spike (loss ...
        >>> [spike["batch"] for spike in detection.spikes]
        [75]
    """

    _fitwatch_type = Spiking
    _fitwatch: Spiking
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(
        self,
        monitor: str = "loss",
        *,
        mode: str = "auto",
        threshold: float = 25.0,
        window: int = 100,
        warmup: int = 100,
        action: str = "report",
        snapshot_every: int = 1000,
        max_to_keep: int = 2,
        lr_factor: float = 1.0,
        max_rollbacks: int = 3,
    ) -> None:
        super().__init__()
        self.monitor = _monitor(monitor)
        self.mode = _check.choice("mode", mode, "auto", "min", "max")
        self.threshold = _threshold(threshold)
        self.window = _check.count("window", window, minimum=1)
        self.warmup = _check.count("warmup", warmup)
        self.action = _check.choice("action", action, "report", "rollback", "stop")
        self.snapshot_every = _check.count("snapshot_every", snapshot_every, minimum=1)
        self.max_to_keep = _check.count("max_to_keep", max_to_keep, minimum=2)
        self.lr_factor = _lr_factor(lr_factor)
        self.max_rollbacks = _check.count("max_rollbacks", max_rollbacks, minimum=1)
        self.spikes: list[dict[str, Any]] = []
        self.stop_reason: str | None = None
        own = self._fitwatch
        own.core = Spikes(self.threshold, self.window, self.warmup)
        if self.action == "rollback":
            own.rollback = Rollback(self.snapshot_every, self.max_to_keep, self.lr_factor)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new run."""
        self.spikes = []
        self.stop_reason = None
        self._fitwatch.begin(self)
        super().on_train_begin(logs)

    @compiled(Spiking.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Judges the values of the trained batches."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.batches.see(self, batch, logs)


def _monitor(value: Any) -> str:
    name = _check.text("monitor", value)
    if name.startswith("val_"):
        raise ValueError(
            f"monitor must be a training metric, such as 'loss', which batches have; got {value!r}."
        )
    return name


def _threshold(value: Any) -> float:
    allowed = "a number above 0"
    threshold = _check.number("threshold", value, allowed)
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold must be {allowed}; got {value!r}.")
    return threshold


def _lr_factor(value: Any) -> float:
    allowed = "a number above 0, at most 1"
    factor = _check.number("lr_factor", value, allowed)
    if not 0 < factor <= 1:
        raise ValueError(f"lr_factor must be {allowed}; got {value!r}.")
    return factor
