"""ReduceLROnPlateau."""

from functools import cached_property
from typing import Any

import keras

from fitwatch import _check
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed import rank_aware
from fitwatch._distributed.world import print_message
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._keras import backend, learning_rate
from fitwatch._monitors.core_attribute import CoreAttribute, is_redefined
from fitwatch._monitors.metric import Monitor
from fitwatch._monitors.plateau import Reducing
from fitwatch._monitors.validation_unit import warn_without_validation


class ReduceLROnPlateau(Monitor, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Reduces the learning rate when a monitored metric has stopped improving.

    Same arguments, decisions, attributes and messages as `keras.callbacks.ReduceLROnPlateau`. The
    new rate is `max(rate * factor, min_lr)`.

    Args:
        monitor: Name of the metric to watch. Default `"val_loss"`.
        factor: The factor of a reduction, between 0 and 1 (both excluded). Default 0.1.
        patience: Units (epochs) without improvement after which the rate is reduced; `inf` never
            reduces it. Default 10.
        verbose: 1 prints a line for every reduction. Default 0.
        mode: `"min"`, `"max"`, or `"auto"` (default), which looks at the model's metrics. Anything
            else warns and counts as `"auto"`.
        min_delta: How much better a value must be to count as an improvement; its sign is ignored.
            Default 0.0001.
        cooldown: Units after a reduction without another one. Default 0.
        min_lr: The lowest rate that is set, 0 or more. Default 0.0.
        unit: The unit of counts: `"epoch"` (default); `"validation"` for each validation, inside
            epochs (see `Validation`) and after them; or `"batch"` for each batch, across epochs.
            Batches are judged by the per-batch loss, or by the value that another training metric
            has for the batch alone (see `LossHistory`). Where that is not available, a warning says
            so, and the mean over the epoch so far is judged, as Keras logs it; with
            `steps_per_execution=N` it is known once in N batches, and counts for N. The rate
            changes after the train call with the batch, or up to `max_lag` batches later;
            reductions decided meanwhile are applied too.
        halflife: Smooths values by a bias-corrected exponential mean before they are judged, in
            units (more than 0), like `pandas.Series.ewm(halflife=...)`: a value that is `n` units
            old has the weight `0.5 ** (n / halflife)`. Values that are not finite are left out.
            None (default) for no smoothing.
        min_delta_mode: `"abs"` (default), or `"rel"`: `min_delta` is a fraction of the best value's
            size.

    Attributes:
        best: The best value so far, smoothed if values are; None before there is one.
        wait: Units since the last improvement or reduction.
        cooldown_counter: The remaining units of a cooldown.
        reductions: The batches after which the rate was reduced, from 0 and across epochs, unless
            the unit is the epoch.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice; or, at the end of the first epoch or batch, `mode="auto"`
            and the metric's direction is not known, or a subclass overrides the rule while options
            that Keras lacks are in use.
        TypeError: An argument has the wrong type or is unknown (Keras ignores a misspelled one);
            or a reduction is due and the optimizer has a learning-rate schedule, about which a
            warning is given when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - A `factor` of 0 or less, or NaN, is refused. Keras accepts it and sets that learning rate.
        - NaN and the infinity on the wrong side never become the best value.
        - A missing metric is reported once in a fit, with the nearest available name.
        - With `unit="batch"`, the wait also starts over if the rate is already at its minimum.
        - Options that Keras lacks compare in double precision, and cannot be combined with an
          overridden rule. They are set by the constructor, not by attributes.
        - Several processes that train together take the same decisions: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import ReduceLROnPlateau
        >>> ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=5, min_lr=0.001).factor
        0.2
    """

    _fitwatch_type = Reducing
    _fitwatch: Reducing
    async_safe = cached_property(is_idle)  # so that a subclass may set it
    state_dict = state_dict
    load_state_dict = load_state_dict

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
        *,
        unit: str = "epoch",
        halflife: float | None = None,
        min_delta_mode: str = "abs",
    ) -> None:
        between = "a number between 0 and 1, both excluded"
        if not 0 < _check.number("factor", factor, between) < 1:
            raise ValueError(f"factor must be {between}; got {factor!r}.")
        if not _check.number("min_lr", min_lr, "a number of 0 or more") >= 0:
            raise ValueError(f"min_lr must be a number of 0 or more; got {min_lr!r}.")
        own = self._fitwatch
        own.batches.unit = _check.unit(unit, [_check.text("monitor", monitor)])
        halflife = _check.halflife(halflife)
        relative = _check.choice("min_delta_mode", min_delta_mode, "abs", "rel") == "rel"
        own.extended = unit != "epoch" or halflife is not None or relative
        own.core.refine(relative, halflife)
        if unit != "epoch":
            self.reductions: list[int] = []
        super().__init__(
            monitor=monitor,
            factor=factor,
            patience=_check.count("patience", patience, endless=True),
            verbose=_check.verbosity("verbose", verbose),
            mode=mode,
            min_delta=_check.number_as_given("min_delta", min_delta),
            cooldown=_check.count("cooldown", cooldown),
            min_lr=min_lr,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new run; warns if the learning rate cannot be set."""
        own = self._fitwatch
        if own.batches.unit != "epoch":
            self.reductions = []
        own.core.reset()
        own.batches.begin(self, prompt=False)
        warn_without_validation(self)
        super().on_train_begin(logs)
        learning_rate.prepare(self)

    def _reset(self) -> None:
        super()._reset()
        self.best = None  # as Keras does since 3.15

    @compiled(Reducing.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Carries out the core's decision about the values of the batch."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.batches.see(self, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the learning rate to the logs, and carries out the core's decision."""
        own = self._fitwatch
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = logs or {}
        learning_rate.log_rates(logs, self.model.optimizer)
        if own.batches.unit != "epoch":
            return
        logs = rank_aware.averaged_logs(self, logs)
        current = logs.get(self.monitor)
        if own.extended:
            own.require_core(self)
            current = backend.to_number(current)
        if current is None:
            own.report_missing(self, logs)
        elif type(current) is float and own.core_decides(self):
            own.carry_out(self, own.core.update(current), epoch)
        else:
            with rank_aware.quietly(self):
                super().on_epoch_end(epoch, logs)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Carries out the core's decision about the value of a validation."""
        self._fitwatch.see_validation(self, batch, logs)

    def _reduce_optimizer_lr(self, optimizer: Any, epoch: int, name: str = "") -> bool:
        own = self._fitwatch
        if own.foreign or is_redefined(type(self)):
            return bool(super()._reduce_optimizer_lr(optimizer, epoch, name))
        rate = own.core.reduced(learning_rate.rate_of(optimizer))
        if rate is None:
            return False
        optimizer.learning_rate = rate
        if self.verbose > 0:
            whose = f" {name}" if name else ""
            where = own.cause or f"Epoch {epoch + 1}"
            print_message(f"\n{where}: ReduceLROnPlateau reducing{whose} learning rate to {rate}.")
        return True
