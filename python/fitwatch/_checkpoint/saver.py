"""How a checkpoint gets to the disk."""

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._checkpoint.background import BackgroundSaver
from fitwatch._checkpoint.best_in_file import Best
from fitwatch._checkpoint.due_saves import DueSaves
from fitwatch._checkpoint.retention import KeptFiles
from fitwatch._checkpoint.sharded import refuse_scattered
from fitwatch._distributed import rank_aware
from fitwatch._distributed.output import print_message
from fitwatch._distributed.rank_aware import Agreeing
from fitwatch._keras import backend, trainer
from fitwatch._keras.frames import fit_of

Done = Callable[[BaseException | None], None]

_ENDINGS = (".weights.h5", ".keras", ".h5")


class Saves(Agreeing):
    """Mixin for a monitor that saves the model: whole files, in the background, a few of them.

    And the last one beside them.
    """

    # What the callback has.
    filepath: str
    monitor: str | None
    verbose: int
    save_weights_only: bool
    model: Any
    _model: Any
    _is_improvement: Callable[[Any, Any], Any]
    _fitwatch_is_unjudged: Callable[[Any], bool]
    _fitwatch_may_replace: Callable[[str], bool]
    _fitwatch_loaded: dict[str, Any] | None

    max_to_keep: int | None
    save_on_background: bool
    save_last: bool
    _fitwatch_saver: BackgroundSaver
    _fitwatch_due: DueSaves
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
        save_last: Any,
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
        self.save_last = _check.flag("save_last", save_last)
        local = self.save_on_background or self.save_last or max_to_keep is not None
        if local and _files.is_remote(filepath):
            raise ValueError(
                "save_on_background, save_last and max_to_keep need a filepath on this machine; "
                f"got {filepath!r}."
            )
        if self.save_last and os.path.abspath(filepath) == os.path.abspath(last_path(filepath)):
            raise ValueError(
                "save_last needs a filepath that is not the one of the last model; got "
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
        self._fitwatch_due = DueSaves()

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch_saver.settle()
        if self._fitwatch_kept is not None:
            self._fitwatch_kept.forget_missing()
        fit = fit_of(trainer.model_of(self))
        self._fitwatch_due.begin(validates=None if fit is None else fit.validates)
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
        if self.max_to_keep is None or self._fitwatch_kept is not None or self._fitwatch.is_silent:
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

    def _fitwatch_save(
        self, filepath: str, value: float | None, best: Best | None, done: Done
    ) -> None:
        """Saves the model, under the name of the last one too.

        Args:
            filepath: Where to.
            value: The monitored value, for the index of files that are kept.
            best: What is noted in the file; None for nothing.
            done: Told when the file is safe, or what has gone wrong.
        """
        with self._fitwatch_saving_here():
            if _files.is_remote(filepath):
                self._fitwatch_write(filepath, None)
                done(None)
                return
            self._fitwatch_saver.settle()
            kept = self._fitwatch_kept

            def ended(error: BaseException | None) -> None:
                if kept is not None and error is None:
                    kept.end()
                elif kept is not None:
                    kept.withdraw()
                done(error)

            def begin() -> None:
                if kept is not None:
                    kept.begin(filepath, value)

            self._fitwatch_save_file(filepath, best, begin, ended)

    def _fitwatch_save_last(self, done: Done) -> None:
        """Saves the model under the name of the last one alone."""
        with self._fitwatch_saving_here():
            self._fitwatch_saver.settle()
            self._fitwatch_save_file(last_path(self.filepath), None, lambda: None, done)

    @contextmanager
    def _fitwatch_saving_here(self) -> Iterator[None]:
        refuse_scattered(self, self.model)  # which was not built when training began, perhaps
        with rank_aware.saving(self):
            yield

    def _fitwatch_save_file(
        self, filepath: str, best: Best | None, begin: Callable[[], None], ended: Done
    ) -> None:
        last = last_path(self.filepath) if self.save_last else filepath
        second = None if last == filepath else last
        more = None if best is None else best.put
        try:
            os.makedirs(os.path.dirname(filepath) or ".", exist_ok=True)
            begin()
            if self.save_on_background:
                self._fitwatch_saver.begin(self.model, filepath, ended, more=more, second=second)
                return
            with _files.replacing(filepath) as beside:
                self._fitwatch_write(beside, best)
        except BaseException as error:
            ended(error)
            raise
        ended(None)
        if second is not None:
            _files.copy(filepath, second)

    def _fitwatch_write(self, filepath: str, best: Best | None) -> None:
        own = _files.is_remote(filepath) or not isinstance(self.model, keras.Model)
        if self.save_weights_only and not own:
            _saving().save_weights(self.model, filepath, None if best is None else best.put)
            return
        if self.save_weights_only:
            self.model.save_weights(filepath, overwrite=True)
        else:
            self.model.save(filepath, overwrite=True)
        if best is not None:
            best.add(filepath)

    def _fitwatch_admits(self, filepath: str, epoch: int, value: float | None, logs: Any) -> bool:
        """Whether a file with this value would be among those that are kept."""
        if self.max_to_keep is None:
            return True
        if self._fitwatch_kept is None:  # in a loop that has no `on_epoch_begin`
            self._fitwatch_kept = self._fitwatch_no_files(self.max_to_keep)
        admitted = self._fitwatch_kept.admits(value)
        if not admitted and self.verbose > 0:
            print_message(
                f"\nEpoch {epoch + 1}: {self.monitor} is not among the best {self.max_to_keep}"
            )
        if self._fitwatch_is_unjudged(logs) and not self._fitwatch_may_replace(filepath):
            return False
        return admitted

    def _fitwatch_monitored(self, logs: Any) -> float | None:
        """The monitored value, if it is one to compare by."""
        value = backend.to_number((logs or {}).get(self.monitor))
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
        self._fitwatch_due = copy.copy(self._fitwatch_due)


def last_path(filepath: str) -> str:
    """The path of the last model: in the folder of the files, up to its first field."""
    ending = next((ending for ending in _ENDINGS if filepath.endswith(ending)), "")
    return os.path.join(os.path.dirname(filepath.partition("{")[0]), f"last{ending}")


def _saving() -> Any:
    from fitwatch._keras import saving  # takes a while, and is needed here only

    return saving
