"""EarlyStopping."""

from contextlib import suppress
from typing import Any, ClassVar

import keras

from fitwatch import _check, _core
from fitwatch._checkpoint.sharded import refuse_scattered
from fitwatch._checkpoint.stateful import (
    integer,
    optional_number,
    optional_whole,
    progress,
    time,
    whole,
)
from fitwatch._core import Decision
from fitwatch._distributed import rank_aware
from fitwatch._keras import backend
from fitwatch._monitors.batch_unit import ByBatch
from fitwatch._monitors.metric import CoreAttribute, Monitor
from fitwatch._monitors.specs import directions, watched
from fitwatch._monitors.stop_messages import Ending


class EarlyStopping(ByBatch, Monitor, Ending, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Stops training when a monitored metric has stopped improving.

    Same arguments, decisions, attributes and messages as `keras.callbacks.EarlyStopping`.

    Args:
        monitor: Name of the metric to watch; or a list of names, the first of which is the one that
            `best` and the restored weights refer to. Default `"val_loss"`.
        min_delta: How much better a value must be to count as an improvement; its sign is ignored.
            One number for all metrics, or a list with one for each. Default 0.
        patience: Units (epochs) without improvement after which training stops. `inf` never stops
            it, which is of use with `restore_best_weights`. Default 0.
        verbose: 1 prints a line when training is stopped and when weights are restored. Default 0.
        mode: `"min"`, `"max"`, or `"auto"` (default): found out from the model's metrics. Anything
            else warns and counts as `"auto"`; with several metrics it is refused. One for all
            metrics, or a list.
        baseline: A number that must be beaten, besides the best so far, before the wait starts
            over. For several metrics a list, with None where there is none. Default None.
        restore_best_weights: Whether to end with the weights of the best epoch. With
            `unit="batch"` those after the call of the train step that had the best batch: they are
            copied at every improvement, and JAX waits for every batch. Where several processes
            train together they are those of the batch at which all agree on it. Default False.
        start_from_epoch: Units (from 0) before this one do not count. Default 0.
        unit: What is counted: `"epoch"` (default), or `"batch"` for each batch, across epochs.
            Batches are judged by the loss that each of them really had, and by the other training
            metrics as Keras logs them, means over the epoch so far. With `steps_per_execution=N`
            such a metric is known once in N batches, and counts for N.
        halflife: Smooths the values by a bias-corrected exponential mean before they are judged:
            in units (more than 0), as `pandas.Series.ewm(halflife=...)` has it: a value that is `n`
            units old has the weight `0.5 ** (n / halflife)`. Values that are not finite are left
            out. None (default) for no smoothing.
        min_delta_mode: `"abs"` (default), or `"rel"`: `min_delta` is a fraction of the best value's
            size.
        combine: With several metrics, whether `"all"` (default) have to stop improving or `"any"`.
        max_time: Time after which training stops, in seconds (more than 0) or as a `timedelta`:
            checked after every batch, with a hundredth of a second or 64 batches to spare. None
            (default) for no end.
        divergence_threshold: Stops at once when the (smoothed) value is worse than this number, or
            a value is not finite. For several metrics a list, with None where there is none.
            Default None.

    Attributes:
        best: The best value so far, smoothed if values are; None before there is one.
        wait: Units without an improvement so far.
        best_epoch: The epoch of the best value, from 0.
        best_weights: Its weights, a list of arrays, with `restore_best_weights`; or else None.
        stopped_epoch: The epoch that stopped the training, from 0; 0 if none has.
        best_batch: With `unit="batch"`, the batch of the best value, from 0 and across epochs.
        stopped_batch: The same for the batch that stopped the training; None if none has.
        stop_reason: Why training was stopped, in words; None if it was not.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice, or weights to restore are divided among processes; or, at
            the end of the first epoch or batch, `mode="auto"` and the metric's direction is not
            known, or a subclass has a rule of its own besides what only fitwatch has.
        TypeError: An argument has the wrong type.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - NaN and the infinity on the wrong side never become the best value. In Keras a NaN in the
          first epoch does, and then no epoch ever improves on it.
        - Arguments that make no sense (a negative patience, a NaN) are refused at once.
        - A metric that is missing is reported once in a fit, with the nearest name there is.
        - What only fitwatch has is compared in double precision, and cannot be joined with a rule
          of a subclass's own. It is set when the callback is made, and not by attributes.
        - With `unit="batch"`, there are no best weights to restore before the first improvement.
        - Several processes that train together take one decision: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import EarlyStopping
        >>> EarlyStopping("loss", patience=2000, unit="batch", halflife=100).patience
        2000
    """

    _core_type = _core.EarlyStopping
    _rule = ("_is_improvement", "get_monitor_value")
    _fitwatch_state: ClassVar = {
        "wait": integer,
        "best": optional_number,
        "best_epoch": whole,
        "best_batch": optional_whole,
        "stopped_epoch": whole,
        "stopped_batch": optional_whole,
        "_fitwatch_seen": whole,
        "_fitwatch_elapsed": time,
        "_fitwatch_progress": progress,
    }

    best_weights: Any
    # Those of a backup, until the first epoch begins.
    _fitwatch_loaded_weights: list[Any] | None = None
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
    ) -> None:
        metrics = watched(monitor, mode, min_delta, baseline, divergence_threshold)
        self._fitwatch_watched = metrics
        self._fitwatch_unit = _check.unit(unit, [metric.name for metric in metrics])
        self._fitwatch_max_time = _check.seconds("max_time", max_time)
        relative = _check.choice("min_delta_mode", min_delta_mode, "abs", "rel") == "rel"
        self._fitwatch_relative = relative
        halflife = _check.halflife(halflife)
        self._fitwatch_extended = (
            len(metrics) > 1
            or unit == "batch"
            or halflife is not None
            or relative
            or metrics[0].divergence_threshold is not None
        )
        either = _check.choice("combine", combine, "all", "any") == "any"
        self._fitwatch_core.watch(len(metrics), either, halflife)
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
        """Starts over."""
        if self._fitwatch_stop_reason is not None:
            self.stop_reason = self._fitwatch_stop_reason = None
        if self.restore_best_weights:
            refuse_scattered(self, self._model)
        self._fitwatch_own_words = self._fitwatch_extended
        self._fitwatch_core.reset()
        self._fitwatch_begin_batches(prompt=self.restore_best_weights)
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Lets the core decide on the epoch's values, and does what it says."""
        if self._fitwatch_unit == "batch" or self._fitwatch_timed_out():
            return
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = rank_aware.agreed(self, logs)
        if self._fitwatch_extended:
            self._require_core()
            values = [self._fitwatch_value(name, logs) for name in self._fitwatch_metrics()]
            self._apply(self._fitwatch_core.update(int(epoch), values), epoch)
            return
        if not self._core_decides():
            super().on_epoch_end(epoch, logs)
            return
        current = self.get_monitor_value(logs)
        if type(current) is float:
            self._apply(self._fitwatch_core.update(int(epoch), [current]), epoch)
        elif current is not None:
            super().on_epoch_end(epoch, logs)

    def get_monitor_value(self, logs: Any) -> Any:
        """The monitored value in `logs`; one warning in a fit tells that it is missing.

        Args:
            logs: The logs of an epoch, a dict, or None.

        Returns:
            The value as it is there; None where it is missing.

        Example:
            >>> from fitwatch.callbacks import EarlyStopping
            >>> EarlyStopping("loss").get_monitor_value({"loss": 0.5})
            0.5
        """
        value = (logs or {}).get(self.monitor)
        if value is None:
            self._report_missing(logs or {})
        return value

    def _fitwatch_value(self, name: str, logs: Any) -> float | None:
        number = backend.to_number((logs or {}).get(name))
        if isinstance(number, float):
            return number
        self._report_missing(logs or {}, name)
        return None

    def _fitwatch_metrics(self) -> list[str]:
        return [metric.name for metric in self._fitwatch_watched]

    def _set_monitor_op(self) -> None:
        if not self._fitwatch_extended:
            super()._set_monitor_op()
            return
        metrics = self._fitwatch_watched
        rules = [
            (
                larger,
                abs(of.min_delta) * (1 if larger else -1),
                of.baseline,
                of.divergence_threshold,
            )
            for larger, of in zip(
                directions(self, metrics, super()._set_monitor_op), metrics, strict=True
            )
        ]
        # The first one may have been assigned to since.
        larger, _, _, threshold = rules[0]
        rules[0] = (larger, self.min_delta, self.baseline, threshold)
        self._fitwatch_core.judge(rules, self._fitwatch_relative)

    def _apply(self, decision: Decision, epoch: int, batch: int | None = None) -> None:
        if decision == Decision.IGNORE:
            return
        improved = decision in (Decision.IMPROVED, Decision.STOP_ON_BEST)
        # As Keras has it, the first epoch that counts is better than none.
        first = self.best_weights is None and batch is None
        if self.restore_best_weights and (improved or first):
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
            if batch is not None:
                self._fitwatch_best_at = self._fitwatch_where(batch)
        if decision in (Decision.STOP, Decision.STOP_ON_BEST):
            where = f"Epoch {epoch + 1}" if batch is None else self._fitwatch_where(batch)
            self._fitwatch_stop(where, self._fitwatch_why())

    def _fitwatch_act(self, decision: Decision, batch: int) -> None:
        self._apply(decision, self._fitwatch_epoch(), batch)

    def _fitwatch_time_is_over(self, batch: int) -> None:
        if self._fitwatch_stop_reason is not None:
            return
        epoch = self._fitwatch_epoch()
        if self._fitwatch_unit == "batch":
            last = self._fitwatch_seen - 1
            where = self._fitwatch_where(last)
            self._fitwatch_core.stop(epoch, last)
        else:
            where = f"Epoch {epoch + 1}, batch {batch + 1}"
            self._fitwatch_core.stop(epoch, None)
        self._fitwatch_own_words = True
        self._fitwatch_stop(where, f"{self._fitwatch_max_time:g} seconds have passed")

    def _fitwatch_timed_out(self) -> bool:
        """Whether the epoch was cut short, and says nothing."""
        reason = self._fitwatch_stop_reason
        return reason is not None and reason.endswith("have passed")

    def _fitwatch_stop(self, where: str, why: str) -> None:
        if self._fitwatch_stop_reason is None:
            self.stop_reason = self._fitwatch_stop_reason = why
            self._fitwatch_stopped_at = where
        rank_aware.stop_training(self)

    def _fitwatch_is_needed(self) -> bool:
        return self.restore_best_weights

    def _fitwatch_why(self) -> str:
        metrics = self._fitwatch_metrics()
        diverged = self._fitwatch_core.diverged()
        if diverged:
            return f"{metrics[diverged[0]]} has diverged"
        # Where a subclass has a rule of its own, the core knows of none.
        stalled = self._fitwatch_core.stalled() or [0]
        names = [metrics[number] for number in stalled]
        have = "has" if len(names) == 1 else "have"
        units = "batches" if self._fitwatch_unit == "batch" else "epochs"
        return f"{', '.join(names)} {have} not improved for {self.patience:g} {units}"

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        # Ctrl-C is a way to end the training; after an exception the weights are left as they are.
        # One process alone cannot set weights that are those of all.
        if fit and interrupted and rank_aware.agreement(self) is None:
            self._fitwatch_restore()

    # A training that was stopped, and is taken up again.

    def _fitwatch_still_stops(self) -> str | None:
        """Why a training whose state was loaded would be stopped at once; None if it would not.

        Judged by the arguments as they are now: there may be more patience.
        """
        time = self._fitwatch_max_time
        if time is not None and self._fitwatch_elapsed >= time:
            return f"{time:g} seconds have passed"
        if any(metric.divergence_threshold is not None for metric in self._fitwatch_watched):
            with suppress(ValueError):  # a metric that is not known before the first batch
                self._set_monitor_op()
        if any(map(self._overridden, self._rule)):
            stops = self.wait >= max(self.patience, 1)  # Keras's own code has decided
        else:
            stops = self._fitwatch_core.still_stops()
        return self._fitwatch_why() if stops else None

    def _fitwatch_had_stopped(self) -> bool:
        """Whether it was this callback that has stopped the training whose state was loaded."""
        stalled = bool(self._fitwatch_core.stalled())
        diverged = any(one[5] is not None for one in self._fitwatch_core.progress)
        return stalled or diverged or self.stopped_epoch > 0 or self.stopped_batch is not None

    def _fitwatch_forget_stop(self) -> None:
        """Called when such a training goes on all the same."""
        progress = [(*one[:5], None) for one in self._fitwatch_core.progress]
        gone = {"stopped_epoch": 0, "stopped_batch": None, "_fitwatch_progress": progress}
        self._fitwatch_loaded = {**(self._fitwatch_loaded or {}), **gone}
        self._fitwatch_set(self._fitwatch_loaded)

    # The state.

    def _fitwatch_arrays(self) -> list[Any]:
        return list(self.best_weights or [])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets the state: the next `fit()`, or one that is just beginning, goes on from it.

        Args:
            state: What `state_dict()` gave. Best weights are no part of it.

        Raises:
            TypeError: `state` is no dict.
            ValueError: It is no state of this class, or of other metrics or another version, or
                damaged. Nothing has been changed then.

        Example:
            >>> from fitwatch.callbacks import EarlyStopping
            >>> before, after = EarlyStopping("loss"), EarlyStopping("loss")
            >>> before.wait = 3
            >>> after.load_state_dict(before.state_dict())
            >>> after.wait
            3
        """
        self._fitwatch_loaded_weights = None
        super().load_state_dict(state)

    def _fitwatch_load_arrays(self, arrays: list[Any]) -> None:
        self._fitwatch_loaded_weights = arrays or None

    def _fitwatch_set(self, values: dict[str, Any]) -> None:
        super()._fitwatch_set(values)
        if self._fitwatch_loaded_weights is not None:
            self.best_weights = self._fitwatch_loaded_weights

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch begins."""
        super().on_epoch_begin(epoch, logs)
        self._fitwatch_loaded_weights = None

    def _fitwatch_checked(self, state: Any) -> dict[str, Any]:
        values = super()._fitwatch_checked(state)
        found, metrics = len(values["_fitwatch_progress"]), self._fitwatch_metrics()
        if found != len(metrics):
            raise ValueError(
                f"state of EarlyStopping is one of {found} metrics; this one has "
                f"{len(metrics)}: {', '.join(metrics)}."
            )
        return values

    @property
    def _fitwatch_progress(self) -> Any:
        return self._fitwatch_core.progress

    @_fitwatch_progress.setter
    def _fitwatch_progress(self, progress: Any) -> None:
        self._fitwatch_core.progress = progress
