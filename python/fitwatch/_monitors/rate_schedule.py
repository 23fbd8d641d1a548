"""The private part of `LearningRateScheduler`: calls the schedule and sets rates."""

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import whole
from fitwatch._distributed.voter import Voter
from fitwatch._distributed.world import print_message
from fitwatch._engine.attachment import Attachment
from fitwatch._keras import backend, learning_rate, model_state, trainer


class ScheduleState(RunState):
    """The state: the number of trained batches."""

    fields: ClassVar = {"step": Field(whole)}


class Schedule(Attachment, Voter):
    """The private part of `LearningRateScheduler`.

    Attributes:
        step: Batches that this `fit()` has trained.
        epoch_start: The value of `step` when the epoch began.
        report_due: Whether to print the rate of the next batch.
    """

    # The schedule, and whether it takes the rate as an argument.
    _form: tuple[Any, bool] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.state = ScheduleState()
        self.start_over()

    def start_over(self) -> None:
        """Called when training begins."""
        self.step = self.epoch_start = 0
        self.report_due = False
        # The last rate set on each optimizer, and the rounded value that it holds.
        self._rates: dict[str, tuple[Any, float]] = {}

    def is_needed(self, callback: Any) -> bool:
        return True

    def set_rate(self, callback: Any, batch: int) -> None:
        """Sets the rate for a batch of the epoch."""
        self.step = self.epoch_start + batch
        model = trainer.model_of(callback)
        readable = model_state.is_synced(model)
        for optimizer, name in learning_rate.optimizers(model.optimizer):
            known = self._rates.get(name)
            held = known[1] if known and not readable else learning_rate.rate_of(optimizer)
            rate = self.ask(callback, self.step, held)
            # Setting the same rate again changes nothing: the held value is that rate, rounded.
            if rate != held and (rate, held) != known:
                # On JAX, reading `model` copies the training state into its variables.
                callback.model.optimizer  # noqa: B018
                optimizer.learning_rate = rate
                held = learning_rate.rate_of(optimizer)
            self._rates[name] = (rate, held)
            if self.report_due:
                self.report(callback, f"Step {self.step}", name, rate)
        self.report_due = False

    def ask(self, callback: Any, step: int, rate: float) -> Any:
        """Calls the schedule; returns a float, of Python or NumPy as it came.

        Raises:
            ValueError: The result is not a finite number of 0 or more.
        """
        schedule = callback.schedule
        if self._form is None or self._form[0] is not schedule:
            self._form = (schedule, _takes_rate(schedule))
        returned = schedule(*((step, rate) if self._form[1] else (step,)))
        if isinstance(returned, (str, bytes, bool)) or getattr(returned, "shape", ()) != ():
            value = None
        else:
            value = backend.to_number(returned)
        if not isinstance(value, float) or not 0 <= value < math.inf:
            what = "step" if callback.unit == "batch" else "epoch"
            raise ValueError(
                f"schedule must return a finite number of 0 or more; for {what} {step} it returned "
                f"{returned!r}."
            )
        return returned if isinstance(returned, np.floating) else value

    def form(self, callback: Any, recorder: Any) -> Any:
        """The compiled form: none, so that Python hooks are called for a schedule of batches."""
        return None if callback.unit == "epoch" else NotImplemented

    def report(self, callback: Any, where: str, name: str, rate: Any) -> None:
        """Prints the rate that was set."""
        if callback.verbose > 0:
            whose = f"{name} " if name else ""
            said = f"{where}: LearningRateScheduler setting {whose}learning rate to {rate}."
            print_message(f"\n{said}")


def _takes_rate(schedule: Callable[..., Any]) -> bool:
    """Whether a schedule takes the current rate besides the epoch."""
    try:
        # The signature as it is called: a decorated function may have another one.
        inspect.signature(schedule, follow_wrapped=False).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True
