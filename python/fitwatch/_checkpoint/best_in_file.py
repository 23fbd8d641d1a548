"""The best value of a metric, stored in the file of the model that reached it."""

import json
import zipfile
from contextlib import suppress
from typing import Any, NamedTuple

import keras

from fitwatch._distributed import rank_aware
from fitwatch._engine.attachment import Part

# Keras ignores entries of an archive and groups of an HDF5 file with this name.
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
        """Writes the value into an open `zipfile.ZipFile` or `h5py.File`."""
        text = json.dumps(self._asdict())
        if isinstance(file, zipfile.ZipFile):
            file.writestr(_ENTRY, text)
        else:
            file.create_group(_NAME).attrs[_ATTRIBUTE] = text

    def add(self, path: str) -> None:
        """Adds the value to a `.keras` or HDF5 file that Keras has written."""
        if path.endswith(".keras"):
            with zipfile.ZipFile(path, "a") as archive:
                self.put(archive)
            return
        import h5py

        with h5py.File(path, "a") as file:
            self.put(file)


def read(path: str, monitor: str) -> Best | None:
    """Reads the best value from a file; None if the file does not exist.

    Raises:
        ValueError: The file has no value, or that of another metric.
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


def _refuse(path: str, why: str) -> ValueError:
    return ValueError(
        f"initial_value_threshold='file': {path!r} {why}. Give the value as a number, take another "
        "filepath, or move the file away."
    )


class BestInFile(Part):
    """Stores the best value in the file of a checkpoint, and reads it when training begins.

    Attributes:
        is_wanted: Whether this is switched on.
    """

    is_wanted = False
    # The value that training began with.
    _threshold: Best | None = None

    def begin(self, callback: Any, *, is_own: bool) -> None:
        """Reads the best value from the existing file, on rank 0 for all.

        A file that this run saved without a value (`is_own`) is not read. Raises as `read` and
        `check_mode` do.
        """
        found = None
        if not callback._fitwatch.is_silent and not is_own:
            found = read(callback.filepath, str(callback.monitor))
        topic = f"the best value in {callback.filepath}"
        shared = rank_aware.broadcast(callback, topic, found)
        found = None if shared is None else Best(*shared)
        if callback.monitor_op is None:
            # An unknown direction becomes known by the first decision.
            with suppress(ValueError):
                callback._set_monitor_op()
        self._threshold = found
        self.check_mode(callback)
        callback.best = None if found is None else found.value

    def forget(self) -> None:
        """Called when training begins: there is no value from a file yet."""
        self._threshold = None

    def check_mode(self, callback: Any) -> None:
        """Checks that the value has the callback's mode, once that is known.

        Raises:
            ValueError: The value is of the other mode.
        """
        best, mode = self._threshold, _mode(callback)
        if best is not None and callback.monitor_op is not None and best.mode != mode:
            raise _refuse(
                callback.filepath,
                f"has a best {best.monitor!r} of mode={best.mode!r}, not of {mode!r}",
            )

    def to_keep(self, callback: Any, value: float | None) -> Best | None:
        """The value to store in the file that is about to be saved; None for none."""
        if not self.is_wanted or value is None:
            return None
        return Best(str(callback.monitor), _mode(callback), value)


def _mode(callback: Any) -> str:
    return "max" if callback.monitor_op is keras.ops.greater else "min"


def _from_archive(path: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return archive.read(_ENTRY) if _ENTRY in archive.namelist() else None


def _from_hdf5(path: str) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        group = file.get(_NAME)
        return None if group is None else group.attrs.get(_ATTRIBUTE)
