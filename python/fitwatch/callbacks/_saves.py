"""How a checkpoint gets to the disk."""

import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras

from fitwatch import _check, _files, _keras
from fitwatch.callbacks._background_save import BackgroundSaver
from fitwatch.callbacks._kept_files import KeptFiles
from fitwatch.callbacks._scattered import refuse_scattered
from fitwatch.callbacks._together import Agreeing

Done = Callable[[BaseException | None], None]


class Saves(Agreeing):
    """Mixin for a monitor that saves the model: whole files, in the background, a few of them."""

    # What the callback has.
    filepath: str
    monitor: str | None
    verbose: int
    save_weights_only: bool
    model: Any
    _model: Any
    _is_improvement: Callable[[Any, Any], Any]
    _report_missing: Callable[..., None]
    _fitwatch_loaded: dict[str, Any] | None
    _fitwatch_is_silent: bool
    _fitwatch_saving: Callable[[], AbstractContextManager[None]]

    max_to_keep: int | None
    save_on_background: bool
    _fitwatch_saver: BackgroundSaver
    _fitwatch_kept: KeptFiles | None = None
    # Whether this fit goes on with the files of another one, whatever its first epoch is.
    _fitwatch_goes_on = False

    def _fitwatch_check_saves(
        self,
        filepath: str,
        fields: set[str],
        weights_only: bool,
        max_to_keep: Any,
        save_on_background: Any,
    ) -> None:
        self.max_to_keep = max_to_keep
        if max_to_keep is not None:
            self.max_to_keep = _check.count("max_to_keep", max_to_keep, minimum=1)
            if self.max_to_keep > 1 and not fields:
                raise ValueError(
                    f"max_to_keep={max_to_keep} needs a filepath with a field, such as {{epoch}}, "
                    f"so that files have names of their own; got {filepath!r}."
                )
        self.save_on_background = _check.flag("save_on_background", save_on_background)
        local = self.save_on_background or max_to_keep is not None
        if local and _files.is_remote(filepath):
            raise ValueError(
                "save_on_background and max_to_keep need a filepath on this machine; got "
                f"{filepath!r}."
            )
        ending = ".weights.h5" if weights_only else ".keras"
        if self.save_on_background and not filepath.endswith(ending):
            what = "weights" if weights_only else "a whole model"
            raise ValueError(
                f"save_on_background of {what} needs a filepath that ends in {ending}; got "
                f"{filepath!r}."
            )
        self._fitwatch_saver = BackgroundSaver()

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch_saver.settle()
        if self._fitwatch_kept is not None:
            self._fitwatch_kept.forget_missing()
        super().on_train_begin(logs)  # type: ignore[misc]
        refuse_scattered(self, self._model)
        if self.save_on_background and _saving().has_own_save(self._model):
            raise ValueError(
                "save_on_background cannot be used with a model that has a save() or "
                f"save_weights() of its own: {type(self._model).__name__}."
            )
        self._fitwatch_goes_on = self._fitwatch_loaded is not None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes up the index of files, if this is no new run."""
        super().on_epoch_begin(epoch, logs)  # type: ignore[misc]
        if self.max_to_keep is None or self._fitwatch_kept is not None or self._fitwatch_is_silent:
            return
        self._fitwatch_kept = self._fitwatch_no_files(self.max_to_keep)
        if self._fitwatch_goes_on or epoch > 0:
            self._fitwatch_kept.load()

    def _fitwatch_no_files(self, most: int) -> KeptFiles:
        improves = None if self.monitor is None else self._fitwatch_improves
        return KeptFiles(self.filepath, most, improves)

    def on_train_end(self, logs: Any = None) -> None:
        """Waits until the last file is safe."""
        super().on_train_end(logs)  # type: ignore[misc]
        self._fitwatch_saver.settle()

    def _fitwatch_save(self, filepath: str, value: float | None, done: Done) -> None:
        """Saves the model; `done` is told when it is safe, or what has gone wrong."""
        refuse_scattered(self, self.model)  # which was not built when training began, perhaps
        with self._fitwatch_saving():
            self._fitwatch_save_here(filepath, value, done)

    def _fitwatch_save_here(self, filepath: str, value: float | None, done: Done) -> None:
        if _files.is_remote(filepath):
            self._fitwatch_write(filepath)
            done(None)
            return
        self._fitwatch_saver.settle()
        os.makedirs(os.path.dirname(filepath) or ".", exist_ok=True)
        kept = self._fitwatch_kept

        def ended(error: BaseException | None) -> None:
            if kept is not None and error is None:
                kept.end()
            elif kept is not None:
                kept.withdraw()
            done(error)

        try:
            if kept is not None:
                kept.begin(filepath, value)
            if self.save_on_background:
                self._fitwatch_saver.begin(self.model, filepath, ended)
                return
            with _files.replacing(filepath) as beside:
                self._fitwatch_write(beside)
        except BaseException as error:
            ended(error)
            raise
        ended(None)

    def _fitwatch_write(self, filepath: str) -> None:
        own = _files.is_remote(filepath) or not isinstance(self.model, keras.Model)
        if self.save_weights_only and own:
            self.model.save_weights(filepath, overwrite=True)
        elif self.save_weights_only:
            _saving().save_weights(self.model, filepath)
        else:
            self.model.save(filepath, overwrite=True)

    def _fitwatch_admits(self, epoch: int, value: float | None, logs: Any) -> bool:
        """Whether a file with this value would be among those that are kept."""
        if self.max_to_keep is None:
            return True
        if self._fitwatch_kept is None:  # in a loop that has no `on_epoch_begin`
            self._fitwatch_kept = self._fitwatch_no_files(self.max_to_keep)
        if value is None and self.monitor is not None and self.monitor not in (logs or {}):
            self._report_missing(logs or {})
        admitted = self._fitwatch_kept.admits(value)
        if not admitted and self.verbose > 0:
            _keras.print_message(
                f"\nEpoch {epoch + 1}: {self.monitor} is not among the best {self.max_to_keep}"
            )
        return admitted

    def _fitwatch_monitored(self, logs: Any) -> float | None:
        """The monitored value, if it is one to compare by."""
        value = _keras.to_number((logs or {}).get(self.monitor))
        return value if isinstance(value, float) and math.isfinite(value) else None

    def _fitwatch_improves(self, value: float, reference: float) -> bool:
        return bool(self._is_improvement(value, reference))

    def _fitwatch_mark(self) -> None:
        """Called before a backup, which says what the best file is: it has to be there then."""
        self._fitwatch_saver.settle()

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)  # type: ignore[misc]
        if fit:
            self._fitwatch_saver.settle()

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        # A copy saves by itself.
        own = ("_fitwatch_saver", "_fitwatch_interval", "_fitwatch_kept")
        return {name: value for name, value in state[0].items() if name not in own}, state[1]

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        self._fitwatch_saver = BackgroundSaver()


def _saving() -> Any:
    from fitwatch import _keras_saving  # takes a while, and is needed here only

    return _keras_saving
