"""EarlyStopping."""

from typing import Any, ClassVar

import keras

from fitwatch import _check, _core, _keras
from fitwatch._core import Decision
from fitwatch._drop_in import DropIn
from fitwatch.callbacks._monitor import CoreAttribute, Monitor
from fitwatch.callbacks._stateful import optional_number, whole


class EarlyStopping(Monitor, keras.callbacks.EarlyStopping, metaclass=DropIn):  # type: ignore[misc]
    """Stops training when a monitored metric has stopped improving.

    Same arguments, decisions, attributes and messages as `keras.callbacks.EarlyStopping`.

    Args:
        monitor: Name of the metric to watch.
        min_delta: How much better a value must be to count as an improvement; its sign is ignored.
        patience: Epochs without improvement after which training stops. `inf` never stops it,
            which is of use with `restore_best_weights`.
        verbose: 1 prints a line when training is stopped and when weights are restored.
        mode: `"min"`, `"max"`, or `"auto"`: found out from the model's metrics. Anything else
            warns and counts as `"auto"`.
        baseline: A value that must be beaten, besides the best so far, before the wait starts over.
        restore_best_weights: Whether to end with the weights of the best epoch.
        start_from_epoch: Epochs (from 0) before this one do not count.

    Raises:
        ValueError: An argument has a value that is not allowed; or, at the end of the first epoch,
            `mode="auto"` and the metric's direction is not known.
        TypeError: An argument has the wrong type.

    Differs from Keras:
        - NaN and the infinity on the wrong side never become the best value. In Keras a NaN in the
          first epoch does, and then no epoch ever improves on it.
        - Arguments that make no sense (a negative patience, a NaN) are refused at once.
        - A metric that is missing is reported once in a fit, with the nearest name there is.

    Example:
        >>> from fitwatch.callbacks import EarlyStopping
        >>> EarlyStopping(monitor="loss", patience=3).patience
        3
    """

    _core_type = _core.EarlyStopping
    _rule = ("_is_improvement", "get_monitor_value")
    _fitwatch_state: ClassVar = {
        "wait": whole,
        "best": optional_number,
        "best_epoch": whole,
        "stopped_epoch": whole,
    }

    best_weights: Any
    patience = CoreAttribute[float]()
    wait = CoreAttribute[int]()
    baseline = CoreAttribute[float | None]()
    start_from_epoch = CoreAttribute[int]()
    best_epoch = CoreAttribute[int]()
    stopped_epoch = CoreAttribute[int]()

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: float = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(
            monitor=_check.text("monitor", monitor),
            min_delta=_check.number("min_delta", min_delta),
            patience=_check.count("patience", patience, endless=True),
            verbose=_check.verbosity("verbose", verbose),
            mode=mode,
            baseline=_check.optional_number("baseline", baseline),
            restore_best_weights=_check.flag("restore_best_weights", restore_best_weights),
            start_from_epoch=_check.count("start_from_epoch", start_from_epoch),
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Lets the core decide on the epoch's value, and does what it says."""
        if self.monitor_op is None:
            self._set_monitor_op()
        if not self._core_decides():
            super().on_epoch_end(epoch, logs)
            return
        current = self.get_monitor_value(logs)
        if type(current) is float:
            self._apply(self._fitwatch_core.update(int(epoch), current), epoch)
        elif current is not None:
            super().on_epoch_end(epoch, logs)

    def get_monitor_value(self, logs: Any) -> Any:
        """The monitored value in `logs`; None, and one warning in a fit, where it is missing."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            self._report_missing(logs or {})
        return value

    def _apply(self, decision: Decision, epoch: int) -> None:
        if decision == Decision.IGNORE:
            return
        if self.restore_best_weights and (
            decision == Decision.IMPROVED or self.best_weights is None
        ):
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        if decision == Decision.STOP:
            _keras.model_of(self).stop_training = True

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        # Ctrl-C is a way to end the training; after an exception the weights are left as they are.
        ended = fit and interrupted
        if ended and self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                epoch = self.best_epoch + 1
                _keras.print_message(
                    f"Restoring model weights from the end of the best epoch: {epoch}."
                )
            self.model.set_weights(self.best_weights)
