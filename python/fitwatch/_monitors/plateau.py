"""The private part of `ReduceLROnPlateau`: what its decisions do to the learning rate."""

from typing import Any, ClassVar

from fitwatch import _core
from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import integer, mean, optional_number, whole
from fitwatch._core import Decision
from fitwatch._distributed.averages import number
from fitwatch._keras import learning_rate
from fitwatch._monitors.batch_unit import BatchMonitor
from fitwatch._monitors.validation_unit import count_validation


class PlateauState(RunState):
    """The state of `ReduceLROnPlateau`."""

    fields: ClassVar = {
        "wait": Field(integer),
        "best": Field(optional_number),
        "cooldown_counter": Field(whole),
        "_fitwatch_seen": Field(whole, "_fitwatch.batches.seen"),
        "_fitwatch_mean": Field(mean, "_fitwatch.core.mean"),
    }

    rewound = frozenset({"wait", "best", "cooldown_counter", "_fitwatch_mean"})

    def begin_inside(self, callback: Any, trained: int) -> None:
        callback._fitwatch.batches.begin_inside(trained)


class Reducing(BatchMonitor):
    """The private part of `ReduceLROnPlateau`.

    Attributes:
        cause: The batch that caused a reduction, for messages; empty for an epoch.
    """

    rule: ClassVar[tuple[str, ...]] = ("_is_improvement", "in_cooldown")
    cause = ""

    def __init__(self) -> None:
        super().__init__(_core.Plateau())
        self.state = PlateauState()

    def is_needed(self, callback: Any) -> bool:
        return True

    def metrics(self, callback: Any) -> list[str]:
        return [callback.monitor]

    def carry_out(self, callback: Any, decision: Decision, epoch: int) -> bool:
        """Reduces the rate of every optimizer, if that is decided; returns whether one was."""
        if decision != Decision.REDUCE_RATE:
            return False
        before = learning_rate.first_rate(callback.model)
        reduced = [
            # As in Keras, the name of a single optimizer is not passed.
            callback._reduce_optimizer_lr(optimizer, epoch, *([name] if name else []))
            for optimizer, name in learning_rate.optimizers(callback.model.optimizer)
        ]
        if any(reduced):
            self.core.acted()
            after = learning_rate.first_rate(callback.model)
            self.announce("rate_reduction", f"learning rate {before} to {after}")
        return any(reduced)

    def act(self, callback: Any, decision: Decision, batch: int) -> None:
        following = max(self.steps.trained, batch + 1)
        self._reduce(callback, decision, batch, self.batches.where(batch), following)

    def see_validation(self, callback: Any, batch: int, logs: dict[str, Any]) -> None:
        """Decides on the value of a validation, and carries the decision out."""
        counted = count_validation(callback, logs)
        if counted is None:
            return
        value = number(logs.get(callback.monitor))
        if value is None:
            self.report_missing(callback, logs)
        elif self.core.update(value) == Decision.REDUCE_RATE:
            self._reduce(callback, Decision.REDUCE_RATE, batch, counted.where, batch + 1)

    def _reduce(
        self, callback: Any, decision: Decision, batch: int, cause: str, following: int
    ) -> None:
        """Reduces the rate because of a batch, and for the batches from `following` on."""
        self.cause = cause
        before = learning_rate.first_rate(callback.model)
        if self.carry_out(callback, decision, 0):
            callback.reductions.append(batch)
            self.announce_rate(following, before, learning_rate.first_rate(callback.model))
        else:
            self.core.wait = 0  # otherwise every following one would decide the same
