"""Saves checkpoints to the disk."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch import _check, _files
from fitwatch._checkpoint.background import BackgroundSaver
from fitwatch._checkpoint.best_in_file import Best
from fitwatch._checkpoint.retention import KeptFiles
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._distributed import rank_aware
from fitwatch._distributed.world import print_message
from fitwatch._engine.attachment import Part
from fitwatch._keras import backend

# Called with None once a file is on the disk, or with the error.
Done = Callable[[BaseException | None], None]

_ENDINGS = (".weights.h5", ".keras", ".h5")


class Saver(Part):
    """Saves a model: atomically, in the background, with `max_to_keep` and `save_last`.

    Attributes:
        background: Saves while training goes on.
        kept: The kept files, with `max_to_keep`.
        goes_on: Whether this fit continues with the files of an earlier one, even from epoch 0.
    """

    left_out = frozenset({"background", "kept"})

    kept: KeptFiles | None = None
    goes_on = False

    def __init__(self) -> None:
        self.background = BackgroundSaver()

    def begin(self) -> None:
        """Called first when training begins; raises the error of the last save."""
        self.background.finish()
        if self.kept is not None:
            self.kept.forget_missing()

    def train_begin(self, callback: Any) -> None:
        """Called when training begins.

        Raises:
            ValueError: The model cannot be saved with these arguments.
        """
        refuse_sharded(callback, callback._model)
        if callback.save_on_background and _saving().overrides_save(callback._model):
            raise ValueError(
                "save_on_background cannot be used with a model that overrides save() or "
                f"save_weights(): {type(callback._model).__name__}."
            )
        self.goes_on = callback._fitwatch.state.loaded is not None

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Reads the index of files, unless this is a new run."""
        if callback.max_to_keep is None or self.kept is not None or callback._fitwatch.is_silent:
            return
        self.kept = _no_files(callback)
        if self.goes_on or epoch > 0:
            self.kept.load()

    def train_end(self, callback: Any) -> None:
        self.background.finish()

    def save(
        self, callback: Any, filepath: str, value: float | None, best: Best | None, done: Done
    ) -> None:
        """Saves the model, with `save_last` also under the name of the last one.

        The index of kept files gets `value`, and the file itself `best`.
        """
        with _saving_here(callback):
            if _files.is_remote(filepath):
                _write(callback, filepath, None)
                done(None)
                return
            self.background.finish()
            self._save_file(callback, filepath, best, done, self.kept, value)

    def save_last(self, callback: Any, done: Done) -> None:
        """Saves the model only under the name of the last one."""
        with _saving_here(callback):
            self.background.finish()
            self._save_file(callback, last_path(callback.filepath), None, done)

    def _save_file(
        self,
        callback: Any,
        filepath: str,
        best: Best | None,
        done: Done,
        kept: KeptFiles | None = None,
        value: float | None = None,
    ) -> None:
        last = last_path(callback.filepath) if callback.save_last else filepath
        copy_to = None if last == filepath else last
        write_extra = None if best is None else best.put

        def ended(error: BaseException | None) -> None:
            if kept is not None and error is None:
                kept.end()
            elif kept is not None:
                kept.withdraw()
            done(error)

        try:
            os.makedirs(os.path.dirname(filepath) or ".", exist_ok=True)
            if kept is not None:
                kept.begin(filepath, value)
            if callback.save_on_background:
                self.background.begin(
                    callback.model, filepath, ended, write_extra=write_extra, copy_to=copy_to
                )
                return
            with _files.replacing(filepath) as temporary:
                _write(callback, temporary, best)
        except BaseException as error:
            ended(error)
            raise
        ended(None)
        if copy_to is not None:
            _files.copy(filepath, copy_to)

    def admits(
        self, callback: Any, filepath: str, epoch: int, value: float | None, logs: Any
    ) -> bool:
        """Whether a file with this value would be kept."""
        if callback.max_to_keep is None:
            return True
        if self.kept is None:  # in a loop that does not call `on_epoch_begin`
            self.kept = _no_files(callback)
        admitted = self.kept.admits(value)
        if not admitted and callback.verbose > 0:
            most = callback.max_to_keep
            print_message(f"\nEpoch {epoch + 1}: {callback.monitor} is not among the best {most}")
        decisions = callback._fitwatch.decisions
        if decisions.is_unjudged(callback, logs) and not decisions.may_replace(callback, filepath):
            return False
        return admitted

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.background = BackgroundSaver()


def check(
    callback: Any,
    filepath: str,
    fields: set[str],
    weights_only: bool,
    max_to_keep: Any,
    save_on_background: Any,
    save_last: Any,
) -> None:
    """Checks and sets arguments of a checkpoint that Keras does not have."""
    callback.max_to_keep = max_to_keep
    if max_to_keep is not None:
        callback.max_to_keep = _check.count("max_to_keep", max_to_keep, minimum=1)
        if callback.max_to_keep > 1 and not fields:
            raise ValueError(
                f"max_to_keep={max_to_keep} needs a filepath with a field, such as {{epoch}}, "
                f"so that the names of files differ; got {filepath!r}."
            )
    callback.save_on_background = _check.flag("save_on_background", save_on_background)
    callback.save_last = _check.flag("save_last", save_last)
    local = callback.save_on_background or callback.save_last or max_to_keep is not None
    if local and _files.is_remote(filepath):
        raise ValueError(
            "save_on_background, save_last and max_to_keep need a filepath on this machine; "
            f"got {filepath!r}."
        )
    if callback.save_last and os.path.abspath(filepath) == os.path.abspath(last_path(filepath)):
        raise ValueError(
            f"save_last needs a filepath other than that of the last model; got {filepath!r}."
        )
    ending = ".weights.h5" if weights_only else ".keras"
    if callback.save_on_background and not filepath.endswith(ending):
        what = "weights" if weights_only else "a whole model"
        raise ValueError(
            f"save_on_background of {what} needs a filepath that ends in {ending}; got "
            f"{filepath!r}."
        )


def monitored_value(callback: Any, logs: Any) -> float | None:
    """The monitored value as a finite float; None if it is not one."""
    value = backend.to_number((logs or {}).get(callback.monitor))
    return value if isinstance(value, float) and math.isfinite(value) else None


def last_path(filepath: str) -> str:
    """The path of the last model, in the folder of the files up to its first field."""
    ending = next((ending for ending in _ENDINGS if filepath.endswith(ending)), "")
    return os.path.join(os.path.dirname(filepath.partition("{")[0]), f"last{ending}")


def _no_files(callback: Any) -> KeptFiles:
    def improves(value: float, reference: float) -> bool:
        return bool(callback._is_improvement(value, reference))

    most = callback.max_to_keep
    return KeptFiles(callback.filepath, most, None if callback.monitor is None else improves)


@contextmanager
def _saving_here(callback: Any) -> Iterator[None]:
    refuse_sharded(callback, callback.model)  # which may not have been built at the beginning
    with rank_aware.saving(callback):
        yield


def _write(callback: Any, filepath: str, best: Best | None) -> None:
    model = callback.model
    own = _files.is_remote(filepath) or not isinstance(model, keras.Model)
    if callback.save_weights_only and not own:
        _saving().save_weights(model, filepath, None if best is None else best.put)
        return
    if callback.save_weights_only:
        model.save_weights(filepath, overwrite=True)
    else:
        model.save(filepath, overwrite=True)
    if best is not None:
        best.add(filepath)


def _saving() -> Any:
    from fitwatch._keras import saving  # slow to import, and seldom needed

    return saving
