"""EarlyStopping."""

from functools import cached_property
from typing import Any

import keras

from fitwatch import _check
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import end_fit
from fitwatch._engine.plan import compiled, is_idle
from fitwatch._monitors.core_attribute import CoreAttribute
from fitwatch._monitors.metric import Monitor
from fitwatch._monitors.specs import watched
from fitwatch._monitors.stopping import Stopping
from fitwatch._monitors.validation_unit import warn_without_validation


class EarlyStopping(Monitor, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Stops training when a monitored metric has stopped improving.

    Same arguments, decisions, attributes and messages as `keras.callbacks.EarlyStopping`.

    Args:
        monitor: Name of the metric to watch; or a list of names, where `best` and the restored
            weights refer to the first one. Default `"val_loss"`.
        min_delta: How much better a value must be to count as an improvement; its sign is ignored.
            One number for all metrics, or a list with one for each. Default 0.
        patience: Units (epochs) without improvement after which training stops. `inf` never stops
            it, which is useful with `restore_best_weights`. Default 0.
        verbose: 1 prints a line when training is stopped and when weights are restored. Default 0.
        mode: `"min"`, `"max"`, or `"auto"` (default), which looks at the model's metrics. Anything
            else warns and counts as `"auto"`; with several metrics it is refused. One for all
            metrics, or a list.
        baseline: A number that a value must beat, besides the best so far, for the wait to start
            over. For several metrics a list, with None for none. Default None.
        restore_best_weights: Whether to end with the weights of the best epoch. With
            `unit="batch"` these are the weights after the train call with the best batch: they are
            copied at every improvement, and JAX waits for every batch. If several processes train
            together, they are those at the batch where all agree on it. Default False.
        start_from_epoch: Units (from 0) before this one do not count. Default 0.
        unit: The unit of counts: `"epoch"` (default); `"validation"` for each validation, inside
            epochs (see `Validation`) and after them; or `"batch"` for each batch, across epochs.
            Batches are judged by the per-batch loss, and by the value that another training metric
            has for the batch alone (see `LossHistory`). Where that is not available, a warning says
            so, and the mean over the epoch so far is judged, as Keras logs it; with
            `steps_per_execution=N` it is known once in N batches, and counts for N.
        halflife: Smooths values by a bias-corrected exponential mean before they are judged, in
            units (more than 0), like `pandas.Series.ewm(halflife=...)`: a value that is `n` units
            old has the weight `0.5 ** (n / halflife)`. Values that are not finite are left out.
            None (default) for no smoothing.
        min_delta_mode: `"abs"` (default), or `"rel"`: `min_delta` is a fraction of the best value's
            size.
        combine: With several metrics, whether `"all"` (default) have to stop improving or `"any"`;
            the same for `stopping_threshold`. One that has diverged suffices.
        max_time: Time after which training stops, in seconds (more than 0) or as a `timedelta`. It
            is checked after every batch, to within a hundredth of a second or 64 batches. None
            (default) for no limit.
        divergence_threshold: Stops at once when the (smoothed) value is worse than this number, or
            a value is not finite. For several metrics a list, with None for none. Default None.
        stopping_threshold: Stops at once when the (smoothed) value is as good as this number or
            better: good enough. For several metrics a list, with None for none: with
            `combine="all"` training stops when the newest values of all metrics that have a
            threshold have reached it, with `"any"` when one has. Default None.

    Attributes:
        best: The best value so far, smoothed if values are; None before there is one.
        wait: Units since the last improvement.
        best_epoch: The epoch of the best value, from 0.
        best_weights: Its weights, a list of arrays, with `restore_best_weights`; or else None.
        stopped_epoch: The epoch that stopped the training, from 0; 0 if none has.
        best_batch: The batch of the best value, from 0 and across epochs, unless the unit is the
            epoch.
        stopped_batch: The batch that stopped the training, likewise; None if none has.
        stop_reason: Why training was stopped, in words; None if it was not.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice, or weights to restore are sharded over processes; or, at
            the end of the first epoch or batch, `mode="auto"` and the metric's direction is not
            known, or a subclass overrides the rule while options that Keras lacks are in use.
        TypeError: An argument has the wrong type.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - NaN and the infinity on the wrong side never become the best value. In Keras a NaN in the
          first epoch does, and no later epoch improves on it.
        - Arguments that make no sense (a negative patience, a NaN) are refused at once.
        - A missing metric is reported once in a fit, with the nearest available name.
        - Options that Keras lacks compare in double precision, and cannot be combined with an
          overridden rule. They are set by the constructor, not by attributes.
        - With `unit="batch"`, there are no best weights to restore before the first improvement.
        - Several processes that train together take the same decisions: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import EarlyStopping
        >>> EarlyStopping("loss", patience=2000, unit="batch", halflife=100).patience
        2000
    """

    _fitwatch_type = Stopping
    _fitwatch: Stopping
    async_safe = cached_property(is_idle)  # so that a subclass may set it
    state_dict = state_dict
    load_state_dict = load_state_dict

    stop_reason: str | None = None
    patience = CoreAttribute[float]()
    wait = CoreAttribute[int]()
    baseline = CoreAttribute[float | None](as_given=True)
    start_from_epoch = CoreAttribute[int]()
    best_epoch = CoreAttribute[int]()
    best_batch = CoreAttribute[int | None]()
    stopped_epoch = CoreAttribute[int]()
    stopped_batch = CoreAttribute[int | None]()

    def __init__(
        self,
        monitor: Any = "val_loss",
        min_delta: Any = 0,
        patience: float = 0,
        verbose: int = 0,
        mode: Any = "auto",
        baseline: Any = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        *,
        unit: str = "epoch",
        halflife: float | None = None,
        min_delta_mode: str = "abs",
        combine: str = "all",
        max_time: Any = None,
        divergence_threshold: Any = None,
        stopping_threshold: Any = None,
    ) -> None:
        own = self._fitwatch
        metrics = own.watched = watched(
            monitor, mode, min_delta, baseline, divergence_threshold, stopping_threshold
        )
        own.batches.unit = _check.unit(unit, [metric.name for metric in metrics])
        own.batches.max_time = _check.seconds("max_time", max_time)
        own.relative = _check.choice("min_delta_mode", min_delta_mode, "abs", "rel") == "rel"
        halflife = _check.halflife(halflife)
        own.extended = (
            len(metrics) > 1
            or unit != "epoch"
            or halflife is not None
            or own.relative
            or metrics[0].has_threshold
        )
        either = _check.choice("combine", combine, "all", "any") == "any"
        own.core.watch(len(metrics), either, halflife)
        first = metrics[0]
        super().__init__(
            monitor=first.name,
            min_delta=first.min_delta,
            patience=_check.count("patience", patience, endless=True),
            verbose=_check.verbosity("verbose", verbose),
            mode=first.mode,
            baseline=first.baseline,
            restore_best_weights=_check.flag("restore_best_weights", restore_best_weights),
            start_from_epoch=_check.count("start_from_epoch", start_from_epoch),
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new run."""
        own = self._fitwatch
        if own.reason is not None:
            self.stop_reason = own.reason = None
        if self.restore_best_weights:
            refuse_sharded(self, self._model)
        own.own_words = own.extended
        own.core.reset()
        own.batches.begin(self, prompt=self.restore_best_weights)
        warn_without_validation(self)
        super().on_train_begin(logs)

    @compiled(Stopping.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Carries out the core's decision about the values of the batch."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.batches.see(self, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Carries out the core's decision about the values of the epoch."""
        own = self._fitwatch
        if own.batches.unit != "epoch" or own.is_timed_out():
            return
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = rank_aware.averaged_logs(self, logs)
        if own.extended:
            own.require_core(self)
            values = own.values(self, logs or {})
        elif not own.core_decides(self):
            super().on_epoch_end(epoch, logs)
            return
        else:
            current = self.get_monitor_value(logs)
            if current is None:
                return
            if type(current) is not float:
                super().on_epoch_end(epoch, logs)
                return
            values = [current]
        own.carry_out(self, own.core.update(int(epoch), values), epoch)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Carries out the core's decision about the values of a validation."""
        self._fitwatch.see_validation(self, batch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Prints why training was stopped, and restores the best weights."""
        if self._fitwatch.own_words:
            self._fitwatch.end(self)
            end_fit(self)
            return
        with rank_aware.quietly(self):
            super().on_train_end(logs)

    def get_monitor_value(self, logs: Any) -> Any:
        """The monitored value in `logs`; warns, once in a fit, if it is missing.

        Args:
            logs: The logs of an epoch, a dict, or None.

        Returns:
            The value, unconverted; None if it is missing.

        Example:
            >>> from fitwatch.callbacks import EarlyStopping
            >>> EarlyStopping("loss").get_monitor_value({"loss": 0.5})
            0.5
        """
        value = (logs or {}).get(self.monitor)
        if value is None:
            self._fitwatch.report_missing(self, logs or {})
        return value

    def _set_monitor_op(self) -> None:
        if self._fitwatch.extended:
            self._fitwatch.judge(self, super()._set_monitor_op)
        else:
            super()._set_monitor_op()
