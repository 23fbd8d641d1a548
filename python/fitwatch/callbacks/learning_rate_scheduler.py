"""LearningRateScheduler."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras

from fitwatch import _check
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import FitwatchCallback, begin_epoch
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._keras import learning_rate
from fitwatch._monitors.rate_schedule import Schedule


class LearningRateScheduler(FitwatchCallback, keras.callbacks.LearningRateScheduler):  # type: ignore[misc]
    """Sets the learning rate by a function of the epoch, or of the batch.

    Same arguments, rates, messages and logs as `keras.callbacks.LearningRateScheduler`.

    Args:
        schedule: A function of the epoch (counted from 0) and the current learning rate (a float),
            or of the epoch alone, that returns the new rate. With `unit="batch"`, it gets the
            number of batches that this `fit()` has trained, instead of the epoch.
        verbose: 1 prints a line whenever an epoch begins. Default 0.
        unit: `"epoch"` (default), or `"batch"` to set the rate before every batch: for a warm-up,
            or a cosine over all steps. With `steps_per_execution=n`, once for every n batches.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, while training, the optimizer has no learning rate,
            or `schedule` returned something other than a finite number of 0 or more.
        TypeError: An argument has the wrong type; or, when the first rate is to be set, the
            optimizer has a learning-rate schedule, about which a warning is given when training
            begins.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - `schedule` may return any finite number of 0 or more, also an integer or a scalar tensor.
          Keras accepts only floats, but also NaN, infinity and negative ones.
        - The rate of the first epoch is also set on the optimizers inside a `MultiOptimizer`. On
          TensorFlow and torch, Keras's class does not find them before the first step.
        - A TypeError inside a `schedule` of two arguments is raised. Keras calls the function again
          with one argument.
        - With `unit="batch"` on JAX, the rate that `schedule` gets is read once in an epoch, and
          when another callback may have changed it, since reading it waits for the device.
        - Several processes that train together set the same rates: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import LearningRateScheduler
        >>> warm_up = LearningRateScheduler(
        ...     lambda step, lr: 1e-3 * min(1.0, (step + 1) / 1000), unit="batch"
        ... )
        >>> warm_up.schedule(499, 0.0)
        0.0005
    """

    _fitwatch_type = Schedule
    _fitwatch: Schedule
    async_safe = cached_property(is_idle)  # so that a subclass may set it
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(
        self, schedule: Callable[..., Any], verbose: int = 0, *, unit: str = "epoch"
    ) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of the epoch and rate; got {schedule!r}.")
        super().__init__(schedule, verbose=_check.verbosity("verbose", verbose))
        self.unit = _check.choice("unit", unit, "epoch", "batch")

    @property
    def step(self) -> int:
        """Batches that this `fit()` has trained."""
        return self._fitwatch.step

    @step.setter
    def step(self, step: int) -> None:
        self._fitwatch.step = self._fitwatch.epoch_start = int(step)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new run."""
        self._fitwatch.start_over()
        learning_rate.prepare(self)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate, if `unit` is `"epoch"`."""
        own = self._fitwatch
        own.epoch_start = own.step
        own.report_due = self.verbose > 0
        begin_epoch(self, epoch)
        if self.unit == "epoch":
            for optimizer, name in learning_rate.optimizers(self.model.optimizer):
                rate = self._update_optimizer_lr(optimizer, epoch)
                own.report(self, f"Epoch {epoch + 1}", name, rate)

    @compiled(Schedule.form)
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate, if `unit` is `"batch"`."""
        super().on_train_batch_begin(batch, logs)
        if self.unit == "batch":
            self._fitwatch.set_rate(self, batch)

    @compiled(Schedule.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the batches."""
        super().on_train_batch_end(batch, logs)
        # With several steps in one call, Keras counts a shorter last call as a full one.
        steps = (self.params or {}).get("steps") or batch + 1
        self._fitwatch.step = self._fitwatch.epoch_start + min(batch + 1, steps)

    def _update_optimizer_lr(self, optimizer: Any, epoch: int) -> Any:
        if not hasattr(optimizer, "learning_rate"):
            raise ValueError(f"the optimizer must have a learning rate; got {optimizer!r}.")
        rate = self._fitwatch.ask(self, epoch, learning_rate.rate_of(optimizer))
        rate = rank_aware.broadcast(self, f"the learning rate of epoch {epoch}", rate)
        optimizer.learning_rate = rate
        return rate
