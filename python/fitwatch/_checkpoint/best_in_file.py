"""The best value, kept in the file of the model that has it."""

import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import keras

from fitwatch._checkpoint.due_saves import DueSaves
from fitwatch._distributed import rank_aware
from fitwatch._engine.attachment import Attachment

# Keras looks at no entry of an archive, and no group of an HDF5 file, that is named like this.
_NAME = "__fitwatch__"
_ENTRY = f"{_NAME}.json"
_ATTRIBUTE = "best"


class Best(NamedTuple):
    """The best value of a metric."""

    monitor: str
    mode: str
    """`"min"` or `"max"`."""
    value: float

    def put(self, file: Any) -> None:
        """Writes it into a file that is open: a `zipfile.ZipFile` or an `h5py.File`."""
        text = json.dumps(self._asdict())
        if isinstance(file, zipfile.ZipFile):
            file.writestr(_ENTRY, text)
        else:
            file.create_group(_NAME).attrs[_ATTRIBUTE] = text

    def add(self, path: str) -> None:
        """Writes it into a file that Keras has written, a `.keras` or an HDF5 file."""
        if path.endswith(".keras"):
            with zipfile.ZipFile(path, "a") as archive:
                self.put(archive)
            return
        import h5py

        with h5py.File(path, "a") as file:
            self.put(file)


def read(path: str, monitor: str) -> Best | None:
    """The best value in a file that training begins with; None if there is no file.

    Raises:
        ValueError: The file has no value, or one of another metric.
    """
    try:
        text = _from_archive(path) if path.endswith(".keras") else _from_hdf5(path)
        if text is None:
            raise ValueError("it was saved without one")
        found = json.loads(text)
        best = Best(str(found["monitor"]), str(found["mode"]), float(found["value"]))
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise _refuse(path, f"has no value of {monitor!r} that can be read ({error})") from error
    if best.monitor != monitor:
        raise _refuse(path, f"has the best value of {best.monitor!r}, not of monitor={monitor!r}")
    return best


def check_mode(path: str, best: Best, mode: str) -> None:
    """Sees to it that a value was found in the same direction.

    Raises:
        ValueError: It was not.
    """
    if best.mode != mode:
        raise _refuse(path, f"has a best {best.monitor!r} of mode={best.mode!r}, not of {mode!r}")


def _refuse(path: str, why: str) -> ValueError:
    return ValueError(
        f"initial_value_threshold='file': {path!r} {why}. Give the value as a number, take another "
        "filepath, or move the file away."
    )


class KeepsBest:
    """Mixin for a checkpoint: keeps the best value in the file, and begins with the one there."""

    # What the callback has.
    filepath: str
    monitor: str | None
    monitor_op: Any
    best: Any
    _set_monitor_op: Callable[[], None]
    _fitwatch: Attachment
    _fitwatch_due: DueSaves

    # Whether it does; and the value that training has begun with.
    _fitwatch_best_in_file = False
    _fitwatch_threshold: Best | None = None

    def _fitwatch_take_threshold(self) -> None:
        """Takes the best value from the file that is there, as rank 0 finds it."""
        monitor, found = str(self.monitor), None
        # One that this callback has saved without a value says nothing.
        if not self._fitwatch.is_silent and not self._fitwatch_due.is_own(self.filepath):
            found = read(self.filepath, monitor)
        agreement = rank_aware.agreement(self)
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
            check_mode(self.filepath, self._fitwatch_threshold, self._fitwatch_mode())

    def _fitwatch_best_to_keep(self, value: float | None) -> Best | None:
        """What is noted in the file that is about to be saved."""
        if not self._fitwatch_best_in_file or value is None:
            return None
        return Best(str(self.monitor), self._fitwatch_mode(), value)

    def _fitwatch_mode(self) -> str:
        return "max" if self.monitor_op is keras.ops.greater else "min"


def _from_archive(path: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return archive.read(_ENTRY) if _ENTRY in archive.namelist() else None


def _from_hdf5(path: str) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        group = file.get(_NAME)
        return None if group is None else group.attrs.get(_ATTRIBUTE)
