"""ReduceLROnPlateau."""

from typing import Any, ClassVar

import keras

from fitwatch import _check, _core, _keras
from fitwatch._core import Decision
from fitwatch._drop_in import DropIn
from fitwatch.callbacks import _rates
from fitwatch.callbacks._monitor import CoreAttribute, Monitor
from fitwatch.callbacks._stateful import optional_number, whole


class ReduceLROnPlateau(Monitor, keras.callbacks.ReduceLROnPlateau, metaclass=DropIn):  # type: ignore[misc]
    """Reduces the learning rate when a monitored metric has stopped improving.

    Same arguments, decisions, attributes and messages as `keras.callbacks.ReduceLROnPlateau`.

    Args:
        monitor: Name of the metric to watch.
        factor: What the learning rate is multiplied by, between 0 and 1 (both excluded).
        patience: Epochs without improvement after which the rate is reduced.
        verbose: 1 prints a line for every reduction.
        mode: `"min"`, `"max"`, or `"auto"`: found out from the model's metrics. Anything else
            warns and counts as `"auto"`.
        min_delta: How much better a value must be to count as an improvement; its sign is ignored.
        cooldown: Epochs after a reduction in which none follows.
        min_lr: The lowest rate that is set, 0 or more.

    Raises:
        ValueError: An argument has a value that is not allowed; or, at the end of the first epoch,
            `mode="auto"` and the metric's direction is not known.
        TypeError: An argument has the wrong type or is unknown (Keras ignores a misspelled one);
            or a reduction is due and the optimizer has a learning-rate schedule, which a warning
            announces when training begins.

    Differs from Keras:
        - A `factor` of 0 or less, or NaN, is refused. Keras takes it and sets that learning rate.
        - NaN and the infinity on the wrong side never become the best value.
        - A metric that is missing is reported once in a fit, with the nearest name there is.

    Example:
        >>> from fitwatch.callbacks import ReduceLROnPlateau
        >>> ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=5, min_lr=0.001).factor
        0.2
    """

    _core_type = _core.Plateau
    _rule = ("_is_improvement", "in_cooldown")
    _fitwatch_state: ClassVar = {"wait": whole, "best": optional_number, "cooldown_counter": whole}

    patience = CoreAttribute[float]()
    wait = CoreAttribute[int]()
    cooldown = CoreAttribute[int]()
    cooldown_counter = CoreAttribute[int]()
    factor = CoreAttribute[float]()
    min_lr = CoreAttribute[float]()

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: float = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        between = "a number between 0 and 1, both excluded"
        if not 0 < _check.number("factor", factor, between) < 1:
            raise ValueError(f"factor must be {between}; got {factor!r}.")
        if not _check.number("min_lr", min_lr, "a number of 0 or more") >= 0:
            raise ValueError(f"min_lr must be a number of 0 or more; got {min_lr!r}.")
        super().__init__(
            monitor=_check.text("monitor", monitor),
            factor=factor,
            patience=_check.count("patience", patience, endless=True),
            verbose=_check.verbosity("verbose", verbose),
            mode=mode,
            min_delta=_check.number("min_delta", min_delta),
            cooldown=_check.count("cooldown", cooldown),
            min_lr=min_lr,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts over; warns if the learning rate cannot be set."""
        super().on_train_begin(logs)
        _rates.prepare(self)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the learning rate to the logs, lets the core decide, and does what it says."""
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = logs or {}
        _rates.log_rates(logs, self.model.optimizer)
        current = logs.get(self.monitor)
        if current is None:
            self._report_missing(logs)
        elif type(current) is float and self._core_decides():
            self._apply(self._fitwatch_core.update(current), epoch)
        else:
            super().on_epoch_end(epoch, logs)

    def _apply(self, decision: Decision, epoch: int) -> None:
        if decision == Decision.REDUCE_RATE:
            reduced = [
                # As Keras calls it: the name of a single optimizer is not passed.
                self._reduce_optimizer_lr(optimizer, epoch, *([name] if name else []))
                for optimizer, name in _rates.optimizers(self.model.optimizer)
            ]
            if any(reduced):
                self._fitwatch_core.acted()

    def _reduce_optimizer_lr(self, optimizer: Any, epoch: int, name: str = "") -> bool:
        if self._foreign or self._attribute_redefined():
            return bool(super()._reduce_optimizer_lr(optimizer, epoch, name))
        rate = self._fitwatch_core.reduced(_rates.rate_of(optimizer))
        if rate is None:
            return False
        optimizer.learning_rate = rate
        if self.verbose > 0:
            whose = f" {name}" if name else ""
            _keras.print_message(
                f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing{whose} learning rate to {rate}."
            )
        return True
