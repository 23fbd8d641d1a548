"""ModelCheckpoint."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import keras

from fitwatch import _check, _core, _files, _keras
from fitwatch.callbacks import _best_in_file, _due_saves
from fitwatch.callbacks._best_in_file import Best
from fitwatch.callbacks._compiled import compiled
from fitwatch.callbacks._guarded import Guarded
from fitwatch.callbacks._monitor import CoreAttribute, Monitor
from fitwatch.callbacks._saves import Done, Saves, last_path
from fitwatch.callbacks._stateful import optional_number, optional_whole, whole


class ModelCheckpoint(Saves, Guarded, Monitor, keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Saves the model, or its weights, every epoch or every few batches.

    Same arguments, decisions, attributes, messages and files as `keras.callbacks.ModelCheckpoint`.
    A file is written beside its target, synced and renamed: whatever happens (the process is
    killed, the power fails, the disk is full), `filepath` has the whole old or the whole new file.

    Args:
        filepath: Where to save, a string or a path. `{epoch}` (from 1), `{batch}` (from 1, with an
            integer `save_freq`) and `{name}` of any logged metric are filled in, with a format if
            you like: `"{epoch:02d}-{val_loss:.2f}.keras"`. Ends in `.weights.h5` with
            `save_weights_only=True`, else in `.keras` or `.h5`. A missing folder is made.
        monitor: Name of the metric to watch; None for none, with `max_to_keep` and without
            `save_best_only`. Default `"val_loss"`.
        verbose: 1 prints a line for every decision and every save. Default 0.
        save_best_only: Whether to save only when the metric is the best so far. Default False.
        save_weights_only: Whether to save the weights alone, instead of the whole model. Default
            False.
        mode: `"min"`, `"max"`, or `"auto"` (default): found out from the model's metrics. Anything
            else warns and counts as `"auto"`.
        save_freq: `"epoch"` (default), or a number of batches (1 or more) after which to save,
            counted across epochs.
        initial_value_threshold: A number that the first checkpoint must beat already. Default None.
        save_interval_seconds: Seconds (more than 0, or a `timedelta`) between two saves, in the
            place of `save_freq`: the model is saved after the first batch that ends that long after
            the last save, or after training began. Default None.
        max_to_keep: How many files to keep (1 or more): those with the best values of `monitor`; or
            with `monitor=None`, or where it is not logged, the last ones. One that would not be
            among them is not saved. With more than one, `filepath` needs a field. An index in the
            folder (`<filepath>.index.json`) has their names and values, and a run that is resumed
            goes on with it; only files that are in it are ever deleted. None (default) keeps all.
        save_on_background: Whether to copy the weights to the host's memory only, and to have a
            thread write them while training goes on. One save is under way at a time, the next one
            waits; `fit()` returns when the last one is safe, and raises what has gone wrong at the
            next save or the end of the epoch. The memory is kept for the next save. Files are
            `.keras` or `.weights.h5`, the same as without, on this machine. Default False.

    Attributes:
        best: The best value so far, with `save_best_only`; or else `initial_value_threshold`.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice, the model's weights are divided among processes, or the
            index of `max_to_keep` is damaged; or, at the first decision, `mode="auto"` and the
            metric's direction is not known; or the model has a `save()` of its own, which
            `save_on_background` would pass by.
        TypeError: An argument has the wrong type.
        KeyError: `filepath` names a metric that is not logged; raised at the end of the first
            epoch, or after the first batch with an integer `save_freq`.
        OSError: The folder of `filepath` cannot be made or written; raised when training begins.
            Or the model cannot be saved: `fit()` ends as with Keras, but the file that was there
            before is whole, and its value is still `best`.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - In Keras a process that is killed while it saves leaves half a file and no other, and so
          does a full disk; a save that failed counts as the best.
        - A missing metric with `save_best_only=True` is reported once in a fit, and a file that is
          there already is not overwritten. Keras saves every time, over the best model too.
        - An integer `save_freq` together with `save_best_only` works. Keras raises a TypeError at
          the second decision of the first epoch.
        - NaN and the infinity on the wrong side never count as the best.
        - With a `TerminateOnNaN` in the same list nothing is saved any more once a metric that it
          watches, or a trained weight, is not finite. Keras overwrites the last good file.
        - Of several processes that train together, rank 0 alone writes: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import ModelCheckpoint
        >>> ModelCheckpoint("{epoch:02d}.keras", monitor="val_loss", save_best_only=True).save_freq
        'epoch'
    """

    _core_type = _core.Checkpoint
    _fitwatch_state: ClassVar = {
        "best": optional_number,
        "_batches_seen_since_last_saving": whole,
        "_last_batch_seen": optional_whole,
        "_fitwatch_due_saves": _due_saves.read,
    }

    _fitwatch_interval: _core.Interval | None = None
    # Whether the best value is kept in the file; and the one that training has begun with.
    _fitwatch_best_in_file = False
    _fitwatch_threshold: Best | None = None

    # The names that Keras has for them.
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
        self._fields_checked = False
        filepath = _check.path("filepath", filepath)
        fields = _files.fields("filepath", filepath)
        save_best_only = _check.flag("save_best_only", save_best_only)
        if not isinstance(save_freq, str):
            save_freq = _check.count("save_freq", save_freq, minimum=1)
        elif save_freq != "epoch":
            allowed = "'epoch' or a whole number of 1 or more"
            raise ValueError(f"Unrecognized save_freq: it must be {allowed}; got {save_freq!r}.")
        if monitor is not None or save_best_only or max_to_keep is None:
            monitor = _check.text("monitor", monitor)
        self.save_interval_seconds = _check.seconds("save_interval_seconds", save_interval_seconds)
        if self.save_interval_seconds is not None and save_freq != "epoch":
            raise ValueError(
                "save_interval_seconds takes the place of save_freq, which must be 'epoch' then; "
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
        self._fitwatch_check_saves(
            filepath, fields, save_weights_only, max_to_keep, save_on_background, save_last
        )
        threshold = _check.threshold("initial_value_threshold", initial_value_threshold)
        self._fitwatch_best_in_file = threshold == "file"
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
            save_freq=save_freq,
            initial_value_threshold=threshold,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the folder, so that a path that cannot be written is known before training."""
        super().on_train_begin(logs)
        self._fields_checked = False
        if not self._fitwatch_is_silent:
            _files.ensure_writable("filepath", self.filepath)
            if self.save_last:
                _files.ensure_writable("save_last", last_path(self.filepath))
        if self.save_interval_seconds is not None:
            self._fitwatch_interval = _core.Interval(self.save_interval_seconds)
        self._fitwatch_threshold = None
        if self._fitwatch_best_in_file and not self._fitwatch_goes_on:
            self._fitwatch_take_threshold()

    @compiled("_fitwatch_compile")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves, if batches or seconds count and enough have passed (or a subclass says so)."""
        by_batch = self.save_freq != "epoch" or self._fitwatch_interval is not None
        self._fitwatch_due.last_batch = batch
        if by_batch and not self._fields_checked:
            # The first save may be hours away: a field that no metric has is an error now.
            if not self._fitwatch_fields_to_come(batch, logs or {}):
                self._get_file_path(getattr(self, "_current_epoch", 0), batch, logs)
            self._fields_checked = True
        if self._should_save_on_batch(batch):
            self._save_on_batch(batch, logs)
        self._fitwatch_see_batches()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if that is due at the end of this epoch."""
        self._fitwatch_saver.settle(wait=False)
        if self.monitor_op is None and (self._fitwatch_interval is None or self._fitwatch_judged()):
            self._set_monitor_op()  # the metrics are built by now
        put_off = self._fitwatch_take_put_off(epoch)
        by_epoch = self._fitwatch_counts_epochs() and not (epoch + 1) % (
            self.save_interval_epochs or 1
        )
        batch = self._fitwatch_last_batch() if put_off or self._fitwatch_sees_batches() else None
        if by_epoch and self.save_interval_seconds is not None:
            # The list plans with it when the next epoch begins.
            self._fitwatch_interval = _core.Interval(self.save_interval_seconds)
        if put_off or by_epoch:
            self._save_model(epoch=epoch, batch=batch, logs=self._fitwatch_agreed(logs))
        names = _files.fields("filepath", self.filepath) - {"epoch", "batch"}
        self._fitwatch_due.end_epoch({*names, *self._fitwatch_judged()}, logs or {})
        self._fitwatch_due.last_batch = None

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        if self._overridden("_should_save_on_batch") or self._attribute_redefined():
            return NotImplemented
        if self._fitwatch_interval is not None:
            self._fitwatch_interval.hook = not self._fields_checked or self._fitwatch_sees_batches()
            return self._fitwatch_interval, self._save_on_batch
        if self.save_freq == "epoch":
            return None
        # The first batch goes through the hook, which checks the fields of the path.
        due = _core.Due(self._fitwatch_core, self, first=not self._fields_checked)
        return due, self._save_on_batch

    def _save_on_batch(self, batch: int, logs: Any) -> None:
        if self._fitwatch_waits(batch, logs or {}):
            self._fitwatch_due.is_put_off = True
            self._fitwatch_due.last_batch = batch
            self._fitwatch_see_batches()
            if self.save_last and not self._fitwatch_is_silent:
                self._fitwatch_save_guarded_last(self._current_epoch, logs)
            return
        if self.monitor_op is None and self._fitwatch_judged():
            self._set_monitor_op()
        logs = self._fitwatch_agreed_inside(logs)
        self._save_model(epoch=self._current_epoch, batch=batch, logs=logs)

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        self._fitwatch_saver.settle(wait=False)
        logs = logs or {}
        to_come = self._fitwatch_fields_to_come(batch, logs)
        if self._fitwatch_is_silent:
            if not to_come:
                self._fitwatch_follow(logs)
            return
        if self._fitwatch_spoiled_metrics(logs):
            return
        if self._fitwatch_is_unjudged(logs):
            self._report_missing(logs)
        if to_come:
            self._fitwatch_report_fields(to_come)
        elif self._fitwatch_save_if_wanted(epoch, batch, logs):
            return
        if self.save_last:
            self._fitwatch_save_guarded_last(epoch, logs)

    def _fitwatch_save_if_wanted(self, epoch: int, batch: int | None, logs: Any) -> bool:
        filepath = self._get_file_path(epoch, batch, logs)
        value = self._fitwatch_monitored(logs)
        if not self._fitwatch_admits(filepath, epoch, value, logs):
            return False
        due = self._fitwatch_due
        before = self.best, due.has_judged, due.unjudged
        if not self._should_save_model(epoch, batch, logs, filepath):
            return False
        if self._fitwatch_judged():
            due.saving(filepath, judged=value is not None)

        def undo() -> None:
            self.best, due.has_judged, due.unjudged = before

        best = self._fitwatch_best_to_keep(value)
        self._fitwatch_save(filepath, value, best, self._fitwatch_done(epoch, filepath, undo))
        return True

    def _fitwatch_save_guarded_last(self, epoch: int, logs: Any) -> None:
        if self._fitwatch_spoiled_metrics(logs) or self._fitwatch_spoiled_weights():
            return
        done = self._fitwatch_done(epoch, last_path(self.filepath), lambda: None)
        self._fitwatch_save_last(done)

    def _fitwatch_done(self, epoch: int, filepath: str, undo: Callable[[], None]) -> Done:
        """What is called when a file is safe, or with what has gone wrong."""

        def done(error: BaseException | None) -> None:
            if error is not None:
                undo()
                error.add_note(f"{type(self).__name__}: {filepath!r} was not saved.")
            elif self.verbose > 0:
                _keras.print_message(f"\nEpoch {epoch + 1}: finished saving model to {filepath}")

        return done

    def _fitwatch_judged(self) -> list[str]:
        judges = self.save_best_only or self.max_to_keep is not None
        return [self.monitor] if judges and self.monitor is not None else []

    def _fitwatch_agreed_inside(self, logs: Any) -> Any:
        """The logs of a batch, with averages where each process has values of its own."""
        agreement = self._fitwatch_agreement()
        # Seconds have not passed in all of them at the same batch: those of rank 0 count.
        if agreement is None or self._fitwatch_interval is not None:
            return logs
        return agreement.agreed_inside(self, logs or {})

    # Which saves are due, and when they are decided.

    def _fitwatch_counts_epochs(self) -> bool:
        timed = self._fitwatch_interval is not None
        return self.save_freq == "epoch" and (not timed or self.save_interval_epochs is not None)

    def _fitwatch_waits(self, batch: int, logs: dict[str, Any]) -> bool:
        """Whether a save that is due after a batch is decided at the end of the epoch."""
        lacking = [name for name in self._fitwatch_judged() if logs.get(name) is None]
        waits = any(map(self._fitwatch_due.may_come, lacking))
        return waits or bool(self._fitwatch_fields_to_come(batch, logs))

    def _fitwatch_take_put_off(self, epoch: int) -> bool:
        put_off, self._fitwatch_due.is_put_off = self._fitwatch_due.is_put_off, False
        agreement = self._fitwatch_agreement()
        if self._fitwatch_interval is None or agreement is None or not agreement.shares(self):
            return put_off
        # By the clock of rank 0.
        return bool(agreement.chiefs(f"a save that is due at the end of epoch {epoch}", put_off))

    def _fitwatch_sees_batches(self) -> bool:
        """Whether seconds count, and the last batch of this epoch has to be known all the same."""
        if self._fitwatch_interval is None:
            return False
        named = "batch" in _files.fields("filepath", self.filepath)
        return self._fitwatch_due.is_put_off or (named and self._fitwatch_counts_epochs())

    def _fitwatch_see_batches(self) -> None:
        """Has the next batch handed to the Python hook, if need be."""
        if self._fitwatch_interval is not None and self._fitwatch_sees_batches():
            self._fitwatch_interval.hook = True

    def _fitwatch_last_batch(self) -> int | None:
        seen = [self._fitwatch_due.last_batch]
        if self.save_freq != "epoch":
            seen.append(self._last_batch_seen)
        return max((batch for batch in seen if batch is not None), default=None)

    @property
    def _fitwatch_due_saves(self) -> dict[str, Any]:
        """For the state."""
        return self._fitwatch_due.state()

    @_fitwatch_due_saves.setter
    def _fitwatch_due_saves(self, state: dict[str, Any]) -> None:
        self._fitwatch_due.set_state(state)

    # What the best value is.

    def _fitwatch_follow(self, logs: Any) -> None:
        """Knows what the best value is, where another process saves."""
        value = (logs or {}).get(self.monitor)
        if not self.save_best_only or type(value) is not float:
            return
        self._fitwatch_due.has_judged = True
        if self._is_improvement(value, self.best):
            self.best = value

    def _set_monitor_op(self) -> None:
        if self.monitor is not None:
            super()._set_monitor_op()
        self._fitwatch_check_threshold()

    def _fitwatch_take_threshold(self) -> None:
        """Takes the best value from the file that is there, as rank 0 finds it."""
        monitor, found = str(self.monitor), None
        # One that this callback has saved without a value says nothing.
        if not self._fitwatch_is_silent and not self._fitwatch_due.is_own(self.filepath):
            found = _best_in_file.read(self.filepath, monitor)
        agreement = self._fitwatch_agreement()
        if agreement is not None and agreement.shares(self):
            told = agreement.chiefs(f"the best value in {self.filepath}", found)
            found = None if told is None else Best(*told)
        if self.monitor_op is None:
            # Where the direction is not known yet, it is at the first decision.
            with suppress(ValueError):
                self._set_monitor_op()
        self._fitwatch_threshold = found
        self._fitwatch_check_threshold()
        self.best = None if found is None else found.value

    def _fitwatch_check_threshold(self) -> None:
        if self._fitwatch_threshold is not None and self.monitor_op is not None:
            _best_in_file.check_mode(self.filepath, self._fitwatch_threshold, self._fitwatch_mode())

    def _fitwatch_best_to_keep(self, value: float | None) -> Best | None:
        """What is noted in the file that is about to be saved."""
        if not self._fitwatch_best_in_file or value is None:
            return None
        return Best(str(self.monitor), self._fitwatch_mode(), value)

    def _fitwatch_mode(self) -> str:
        return "max" if self.monitor_op is keras.ops.greater else "min"

    # What Keras's hooks call; a subclass may have its own.

    def _should_save_on_batch(self, batch: int) -> bool:
        if self._fitwatch_interval is not None:
            return self._fitwatch_interval.due()
        return self.save_freq != "epoch" and bool(self._fitwatch_core.due(batch, self.save_freq))

    def _should_save_model(self, epoch: int, batch: int | None, logs: Any, filepath: str) -> bool:
        unjudged = self.save_best_only and (logs or {}).get(self.monitor) is None
        due = self._fitwatch_due
        if unjudged:
            saves = not due.has_judged and self._fitwatch_may_replace(filepath)
        else:
            saves = self._fitwatch_saves(logs)
        # Before Keras's method, which says that it saves and takes the value as the best.
        if saves and self._fitwatch_watched() and self._fitwatch_spoiled_weights():
            return False
        if unjudged:
            return saves
        if self.save_best_only and self._fitwatch_monitored(logs) is not None:
            due.has_judged = True
        # Keras's own method asks `_is_improvement`, which is the core's, and prints its messages.
        return bool(super()._should_save_model(epoch, batch, logs, filepath))

    def _fitwatch_saves(self, logs: Any) -> bool:
        current = (logs or {}).get(self.monitor)
        judged = self.save_best_only and getattr(current, "shape", ()) == ()
        return not judged or bool(self._is_improvement(current, self.best))

    def _get_file_path(self, epoch: int, batch: int | None, logs: Any) -> str:
        unknown = self._fitwatch_unknown_fields(batch, logs or {})
        if unknown:
            names = ", ".join(["epoch", *([] if batch is None else ["batch"]), *(logs or {})])
            raise KeyError(
                f"filepath {self.filepath!r} has fields that nothing fills in: "
                f"{', '.join(unknown)}. There are: {names}."
            )
        return str(super()._get_file_path(epoch, batch, logs or {}))

    def _fitwatch_unknown_fields(self, batch: int | None, logs: dict[str, Any]) -> list[str]:
        unknown = _files.fields("filepath", self.filepath) - {"epoch", *logs}
        return sorted(unknown if batch is None else unknown - {"batch"})

    def _fitwatch_fields_to_come(self, batch: int | None, logs: dict[str, Any]) -> list[str]:
        """The fields that nothing fills in yet, if a validation will fill in all of them."""
        if self._overridden("_get_file_path"):
            return []
        unknown = self._fitwatch_unknown_fields(batch, logs)
        due = self._fitwatch_due
        return unknown if all(due.will_come(name, logs) for name in unknown) else []
