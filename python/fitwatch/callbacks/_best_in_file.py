"""The best value, kept in the file of the model that has it."""

import json
import zipfile
from typing import Any, NamedTuple

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


def _from_archive(path: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return archive.read(_ENTRY) if _ENTRY in archive.namelist() else None


def _from_hdf5(path: str) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        group = file.get(_NAME)
        return None if group is None else group.attrs.get(_ATTRIBUTE)
