"""ModelCheckpoint."""

from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._checkpoint import saver
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._checkpoint.saver import last_path
from fitwatch._engine.plan import compiled
from fitwatch._monitors.checkpointing import Checkpointing
from fitwatch._monitors.core_attribute import CoreAttribute
from fitwatch._monitors.metric import Monitor
from fitwatch._monitors.validation_unit import warn_without_validation


class ModelCheckpoint(Monitor, keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Saves the model, or its weights, every epoch or every few batches.

    Same arguments, decisions, attributes, messages and files as `keras.callbacks.ModelCheckpoint`.
    A file is written in the same folder, synced and renamed: even if the process is killed, the
    power fails or the disk is full, `filepath` has either the old file or the new one.

    Args:
        filepath: The path of the files, a string or a path. `{epoch}` (from 1), `{batch}` (from 1,
            for saves by batches, by time or after validations) and `{name}` of any logged metric
            are filled in, with an optional format: `"{epoch:02d}-{val_loss:.2f}.keras"`. Ends in
            `.weights.h5` with `save_weights_only=True`, else in `.keras` or `.h5`. A missing folder
            is made.
        monitor: Name of the metric to watch; None is allowed with `max_to_keep` and without
            `save_best_only`. Default `"val_loss"`.
        verbose: 1 prints a line for every decision and every save. Default 0.
        save_best_only: Whether to save only when the metric is the best so far. Default False.
        save_weights_only: Whether to save only the weights, instead of the whole model. Default
            False.
        mode: `"min"`, `"max"`, or `"auto"` (default), which looks at the model's metrics. Anything
            else warns and counts as `"auto"`.
        save_freq: `"epoch"` (default); a number of batches (1 or more) between saves, counted
            across epochs; or `"validation"` for each validation, inside epochs (see `Validation`)
            and after them.
        initial_value_threshold: A number that the first checkpoint must beat; or `"file"` for the
            best value stored in the file at `filepath` when training begins, if there is one. Every
            saved file then stores its value, metric and mode, where Keras ignores them:
            `keras.models.load_model` and `load_weights` load such files. A resumed run uses its own
            best value instead. `"file"` needs `save_best_only=True`, and a local `filepath` without
            fields. Default None.
        save_interval_seconds: Seconds (more than 0, or a `timedelta`) between two saves, instead of
            `save_freq`: the model is saved after the first batch that ends this long after the last
            save, or after the beginning of the training. Default None.
        save_interval_epochs: A number N of epochs (1 or more): a save is due at the end of epochs
            N, 2N, and so on, counted from 1 across `initial_epoch` and resumed runs. With
            `save_interval_seconds`, saves are also due by time, and the clock restarts at the end
            of such an epoch. Not allowed with an integer `save_freq`. Default None: every epoch, or
            only by time.
        max_to_keep: The number of files to keep (1 or more): those with the best values of
            `monitor`, or the last ones if `monitor` is None or not logged. A model that would not
            be among them is not saved. With more than one, `filepath` needs a field. An index in
            the folder (`<filepath>.index.json`) lists their names and values, and a resumed run
            continues with it; only files in the index are ever deleted. None (default) keeps all.
        save_last: Whether each due save also writes the model under a second name, to resume from
            the newest one: `last` with the suffix of `filepath`, in the folder of `filepath` up to
            its first field. It is also written if `save_best_only` or `max_to_keep` decide against
            the model, and after a batch whose save is deferred to the end of the epoch. If the
            model is saved under `filepath` too, the second file is a copy of the first.
            `max_to_keep` does not count it. Default False.
        save_on_background: Whether to only copy the weights to host memory, and write them in a
            thread while training goes on. There is one save at a time, for which the next one
            waits; `fit()` returns when the last one is on the disk, and raises errors at the next
            save or the end of the epoch. The memory is reused for the next save. Only for local
            `.keras` and `.weights.h5` files, which are the same as without. Default False.

    Attributes:
        best: The best value so far, with `save_best_only`; or else `initial_value_threshold`.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice, the model's weights are sharded over processes, the index
            of `max_to_keep` is damaged, the file of `initial_value_threshold="file"` has no value,
            or that of another metric or mode, or the model overrides `save()`, which
            `save_on_background` would bypass; or, at the first decision, `mode="auto"` and the
            metric's direction is not known.
        TypeError: An argument has the wrong type.
        KeyError: `filepath` names a metric that is not logged; raised at the end of the first epoch
            at which a save is due, or after the first batch for saves by batches or by time.
        OSError: The folder of `filepath` cannot be made or written; raised when training begins. Or
            the model cannot be saved: `fit()` ends as with Keras, but the existing file is
            complete, and its value is still `best`.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - In Keras a process that is killed while it saves leaves only a partial file, and so does a
          full disk; a failed save counts as the best.
        - A save that is due after a batch whose logs lack the monitored metric is deferred to the
          end of the epoch, if the logs of the epoch may have it: with the weights and metrics at
          that time, and the last batch of the epoch for `{batch}`. Validation metrics are expected
          in a `fit()` with validation data, others until an epoch has ended without them.
        - If the metric is missing, fitwatch warns once in a fit. With `save_best_only=True` or
          `max_to_keep` such a model replaces files that this run saved without a value, but no file
          of an earlier run. With `save_best_only=True` it is not saved once a value was judged, in
          this run or the resumed one. Keras saves every time, even over the best model.
        - If the logs lack a field of `filepath` that a later validation provides, nothing is saved,
          with one warning (after a batch, the save is deferred to the end of the epoch). Keras
          raises a KeyError.
        - An integer `save_freq` works together with `save_best_only`. Keras raises a TypeError at
          the second decision of the first epoch.
        - NaN and the infinity on the wrong side never count as the best.
        - With a `TerminateOnNaN` in the same list, nothing is saved once a metric that it watches,
          or a trained weight, is not finite. Keras overwrites the last good file.
        - Of several processes that train together, only rank 0 writes: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import ModelCheckpoint
        >>> ModelCheckpoint("{epoch:02d}.keras", monitor="val_loss", save_best_only=True).save_freq
        'epoch'
    """

    _fitwatch_type = Checkpointing
    _fitwatch: Checkpointing
    state_dict = state_dict
    load_state_dict = load_state_dict

    max_to_keep: int | None
    save_on_background: bool
    save_last: bool

    # Keras's names.
    _batches_seen_since_last_saving = CoreAttribute[int]("batches_since")
    _last_batch_seen = CoreAttribute[int | None]("last_batch")

    def __init__(
        self,
        filepath: Any,
        monitor: str | None = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | str | None = None,
        *,
        save_interval_seconds: Any = None,
        save_interval_epochs: int | None = None,
        max_to_keep: int | None = None,
        save_last: bool = False,
        save_on_background: bool = False,
    ) -> None:
        filepath = _check.path("filepath", filepath)
        fields = _files.fields("filepath", filepath)
        save_best_only = _check.flag("save_best_only", save_best_only)
        if not isinstance(save_freq, str):
            save_freq = _check.count("save_freq", save_freq, minimum=1)
        elif save_freq not in ("epoch", "validation"):
            allowed = "'epoch', 'validation' or a whole number of 1 or more"
            raise ValueError(f"Unrecognized save_freq: it must be {allowed}; got {save_freq!r}.")
        if monitor is not None or save_best_only or max_to_keep is None:
            monitor = _check.text("monitor", monitor)
        self.save_interval_seconds = _check.seconds("save_interval_seconds", save_interval_seconds)
        if self.save_interval_seconds is not None and save_freq != "epoch":
            raise ValueError(
                "save_interval_seconds replaces save_freq, which must then be 'epoch'; "
                f"got {save_freq!r}."
            )
        self.save_interval_epochs = save_interval_epochs
        if save_interval_epochs is not None:
            self.save_interval_epochs = _check.count(
                "save_interval_epochs", save_interval_epochs, minimum=1
            )
            if save_freq != "epoch":
                raise ValueError(
                    f"save_interval_epochs needs save_freq='epoch'; got save_freq={save_freq!r}."
                )
        save_weights_only = _check.flag("save_weights_only", save_weights_only)
        saver.check(
            self, filepath, fields, save_weights_only, max_to_keep, save_on_background, save_last
        )
        threshold = _check.threshold("initial_value_threshold", initial_value_threshold)
        self._fitwatch.best_in_file.is_wanted = threshold == "file"
        if threshold == "file":
            if not save_best_only or fields or _files.is_remote(filepath):
                raise ValueError(
                    "initial_value_threshold='file' needs save_best_only=True and a filepath on "
                    f"this machine without fields; got save_best_only={save_best_only}, "
                    f"filepath={filepath!r}."
                )
            threshold = None
        super().__init__(
            filepath=filepath,
            monitor=monitor,
            verbose=_check.verbosity("verbose", verbose),
            save_best_only=save_best_only,
            save_weights_only=save_weights_only,
            mode=mode,
            save_freq="epoch" if save_freq == "validation" else save_freq,
            initial_value_threshold=threshold,
        )
        self.save_freq = save_freq

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the folder, so that an unwritable path is known before training."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)
        if not self._fitwatch.is_silent:
            _files.ensure_writable("filepath", self.filepath)
            if self.save_last:
                _files.ensure_writable("save_last", last_path(self.filepath))
        self._fitwatch.begin_run(self)
        warn_without_validation(self)

    @compiled(Checkpointing.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves, if a save is due after this batch."""
        decisions = self._fitwatch.decisions
        decisions.due.last_batch = batch
        if not decisions.fields_checked:
            decisions.check_fields(self, batch, logs or {})
        if self._should_save_on_batch(batch):
            self._fitwatch.save_on_batch(self, batch, logs)
        if decisions.interval is not None:
            decisions.see_batches(self)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if a save is due at the end of this epoch."""
        self._fitwatch.end_epoch(self, epoch, logs)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Saves, if a save is due after each validation."""
        self._fitwatch.save_on_validation(self, logs)

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        self._fitwatch.save(self, epoch, batch, logs or {})

    def _set_monitor_op(self) -> None:
        if self.monitor is not None:
            super()._set_monitor_op()
        self._fitwatch.best_in_file.check_mode(self)

    # Called by Keras's hooks; a subclass may override them.

    def _should_save_on_batch(self, batch: int) -> bool:
        own = self._fitwatch
        if own.decisions.interval is not None:
            return own.decisions.interval.due()
        return not isinstance(self.save_freq, str) and own.core.due(batch, self.save_freq)

    def _should_save_model(self, epoch: int, batch: int | None, logs: Any, filepath: str) -> bool:
        own = self._fitwatch
        if not own.may_save(self, logs, filepath):
            return False
        if self.save_best_only and (logs or {}).get(self.monitor) is None:
            return True
        if self.save_best_only and saver.monitored_value(self, logs) is not None:
            own.decisions.due.has_judged = True
        # Keras's method calls `_is_improvement`, which uses the core, and prints its messages.
        return bool(super()._should_save_model(epoch, batch, logs, filepath))

    def _get_file_path(self, epoch: int, batch: int | None, logs: Any) -> str:
        unknown = self._fitwatch.decisions.unknown_fields(self, batch, logs or {})
        if unknown:
            names = ["epoch", *([] if batch is None else ["batch"]), *map(str, logs or {})]
            raise KeyError(
                f"filepath {self.filepath!r} has fields without a value: "
                f"{', '.join(unknown)}. Available: {', '.join(names)}."
            )
        return str(super()._get_file_path(epoch, batch, logs or {}))
