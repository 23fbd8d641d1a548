"""LearningRateScheduler."""

import inspect
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import keras
import numpy as np

from fitwatch import _check, _core
from fitwatch._checkpoint.stateful import Stateful, whole
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._distributed.output import print_message
from fitwatch._distributed.rank_aware import Agreeing
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._keras import backend, learning_rate, trainer


class LearningRateScheduler(
    Stateful,
    Agreeing,
    FitwatchCallback,
    keras.callbacks.LearningRateScheduler,  # type: ignore[misc]
):
    """Sets the learning rate by a function of the epoch, or of the batch.

    Same arguments, rates, messages and logs as `keras.callbacks.LearningRateScheduler`.

    Args:
        schedule: A function of the epoch (counted from 0) and the current learning rate (a float),
            or of the epoch alone, that returns the new rate. With `unit="batch"`, the number of
            batches that this `fit()` has trained takes the place of the epoch.
        verbose: 1 prints a line whenever an epoch begins. Default 0.
        unit: `"epoch"` (default), or `"batch"` to set the rate before every batch: for a warm-up,
            or a cosine over all steps. With `steps_per_execution=n`, once for every n batches.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, while training, the optimizer has no learning rate,
            or `schedule` returned something other than a finite number of 0 or more.
        TypeError: An argument has the wrong type; or, when the first rate is to be set, the
            optimizer has a learning-rate schedule, which a warning announces when training begins.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - Every kind of finite number is taken from `schedule`, an integer and a scalar tensor too,
          but no NaN, infinity or negative one. Keras takes floats only, and those as well.
        - The optimizers inside a `MultiOptimizer` have the rate of the first epoch too. On
          TensorFlow and torch, Keras's class finds none of them before the first step.
        - A TypeError inside a `schedule` of two arguments is not hidden by another call with one.
        - With `unit="batch"` the rate that `schedule` is given is read once an epoch on JAX, and
          whenever another callback may have changed it, since reading it waits for the device.
        - Several processes that train together take one decision: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import LearningRateScheduler
        >>> warm_up = LearningRateScheduler(
        ...     lambda step, lr: 1e-3 * min(1.0, (step + 1) / 1000), unit="batch"
        ... )
        >>> warm_up.schedule(499, 0.0)
        0.0005
    """

    async_safe = cached_property(is_idle)  # so that a subclass may set it
    _fitwatch_state: ClassVar = {"step": whole}
    # The schedule, and whether it takes the rate.
    _fitwatch_form: tuple[Any, bool] | None = None

    def __init__(
        self, schedule: Callable[..., Any], verbose: int = 0, *, unit: str = "epoch"
    ) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of the epoch and rate; got {schedule!r}.")
        super().__init__(schedule, verbose=_check.verbosity("verbose", verbose))
        self.unit = _check.choice("unit", unit, "epoch", "batch")
        self._fitwatch_start_over()

    @property
    def step(self) -> int:
        """Batches that this `fit()` has trained."""
        return self._fitwatch_step

    @step.setter
    def step(self, step: int) -> None:
        self._fitwatch_step = self._fitwatch_epoch_start = int(step)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts over."""
        self._fitwatch_start_over()
        learning_rate.prepare(self)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Sets the rate, if the schedule is one of epochs."""
        self._fitwatch_epoch_start = self._fitwatch_step
        self._fitwatch_report_due = self.verbose > 0
        if self.unit == "epoch":
            for optimizer, name in learning_rate.optimizers(self.model.optimizer):
                rate = self._update_optimizer_lr(optimizer, epoch)
                self._fitwatch_report(f"Epoch {epoch + 1}", name, rate)
        else:
            self._fitwatch_loaded = None

    @compiled("_fitwatch_compile")
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate, if the schedule is one of batches."""
        super().on_train_batch_begin(batch, logs)
        if self.unit == "epoch":
            return
        self._fitwatch_step = self._fitwatch_epoch_start + batch
        model = trainer.model_of(self)
        readable = trainer.is_synced(model)
        for optimizer, name in learning_rate.optimizers(model.optimizer):
            known = self._fitwatch_rates.get(name)
            held = known[1] if known and not readable else learning_rate.rate_of(optimizer)
            rate = self._fitwatch_ask(self._fitwatch_step, held)
            # The same again is no change: what it holds is what it was given, rounded.
            if rate != held and (rate, held) != known:
                # Asking for `model` brings its variables up to date, where the trainer has them.
                self.model.optimizer  # noqa: B018
                optimizer.learning_rate = rate
                held = learning_rate.rate_of(optimizer)
            self._fitwatch_rates[name] = (rate, held)
            if self._fitwatch_report_due:
                self._fitwatch_report(f"Step {self._fitwatch_step}", name, rate)
        self._fitwatch_report_due = False

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the batches."""
        super().on_train_batch_end(batch, logs)
        # With several steps in one call, Keras counts a last call that has fewer as a whole one.
        steps = (self.params or {}).get("steps") or batch + 1
        self._fitwatch_step = self._fitwatch_epoch_start + min(batch + 1, steps)

    def _update_optimizer_lr(self, optimizer: Any, epoch: int) -> Any:
        if not hasattr(optimizer, "learning_rate"):
            raise ValueError(f"the optimizer must have a learning rate; got {optimizer!r}.")
        rate = self._fitwatch_ask(epoch, learning_rate.rate_of(optimizer))
        agreement = rank_aware.agreement(self)
        if agreement is not None and agreement.shares(self):
            rate = agreement.chiefs(f"the learning rate of epoch {epoch}", float(rate))
        optimizer.learning_rate = rate
        return rate

    def _fitwatch_report(self, where: str, name: str, rate: Any) -> None:
        if self.verbose > 0:
            whose = f"{name} " if name else ""
            said = f"{where}: LearningRateScheduler setting {whose}learning rate to {rate}."
            print_message(f"\n{said}")

    def _fitwatch_is_needed(self) -> bool:
        return True

    def _fitwatch_ask(self, step: int, rate: float) -> Any:
        """What the schedule says: a float, of Python or NumPy as it came."""
        if self._fitwatch_form is None or self._fitwatch_form[0] is not self.schedule:
            self._fitwatch_form = (self.schedule, _takes_rate(self.schedule))
        arguments = (step, rate) if self._fitwatch_form[1] else (step,)
        returned = self.schedule(*arguments)
        if isinstance(returned, (str, bytes, bool)) or getattr(returned, "shape", ()) != ():
            value = None
        else:
            value = backend.to_number(returned)
        if not isinstance(value, float) or not 0 <= value < math.inf:
            what = "step" if self.unit == "batch" else "epoch"
            raise ValueError(
                f"schedule must return a finite number of 0 or more; for {what} {step} it returned "
                f"{returned!r}."
            )
        return returned if isinstance(returned, np.floating) else value

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        return None if self.unit == "epoch" else NotImplemented

    def _fitwatch_start_over(self) -> None:
        self._fitwatch_step = self._fitwatch_epoch_start = 0
        self._fitwatch_report_due = False
        # What each optimizer was given last, and what it holds since.
        self._fitwatch_rates: dict[str, tuple[Any, float]] = {}


def _takes_rate(schedule: Callable[..., Any]) -> bool:
    """Whether a schedule takes the current rate besides the epoch."""
    try:
        # As it is called: what a decorator wraps may take something else.
        inspect.signature(schedule, follow_wrapped=False).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True
