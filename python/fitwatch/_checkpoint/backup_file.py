"""The file of one backup, which is complete or absent."""

import json
import os
import shutil
import struct
import tempfile
import zlib
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from fitwatch import _core, _files

VERSION = 1

# Follows the HDF5 data, which end where their own header says: a mark, the number of bytes before
# it, and their CRC-32.
_SEAL = struct.Struct("<16sQI")
_MARK = b"fitwatch backup\n"
# Keras ignores attributes whose names begin like this, so a model has no such group.
_GROUP = "__fitwatch__"
_PIECE = 1 << 24


class DamagedError(OSError):
    """A backup is damaged."""


class Backup(NamedTuple):
    """The content of a backup besides the weights."""

    state: dict[str, Any]
    """JSON values."""
    arrays: list[Any]
    """Arrays, to which `state` refers by index."""


def write(path: str, model: Any, backup: Backup, previous: str | None = None) -> None:
    """Writes one file with all that `model.save_weights` writes, and the rest of the backup.

    An existing file is replaced, or kept at the path `previous`.
    """
    from fitwatch._keras import saving  # slow to import, and seldom needed

    with ExitStack() as stack:
        if previous is not None and os.path.exists(path):
            # Put in its place after the new file has replaced `path`.
            _files.link(path, stack.enter_context(_files.replacing(previous)))
        temporary = stack.enter_context(_files.replacing(path))
        saving.save_weights(model, temporary, lambda file: _add(file, backup))
        checksum, length = _checksum(temporary, os.path.getsize(temporary))
        with open(temporary, "ab") as file:
            file.write(_SEAL.pack(_MARK, length, checksum))


def _add(file: Any, backup: Backup) -> None:
    group = file.create_group(_GROUP)
    state = {"version": VERSION, "fitwatch": _core.__version__, **backup.state}
    group["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    for number, array in enumerate(backup.arrays):
        _put(group, str(number), np.asarray(array))


def load_weights(path: str, model: Any) -> None:
    """Loads the weights and the optimizer of a backup with any suffix."""
    if path.endswith(".weights.h5"):
        model.load_weights(path)
        return
    # Keras chooses the format by the suffix.
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "backup.weights.h5")
        try:
            os.symlink(os.path.abspath(path), name)
        except OSError:
            shutil.copyfile(path, name)
        model.load_weights(name)


def read(path: str) -> Backup | None:
    """The content of a backup besides the weights; None for a backup by Keras's class.

    Raises:
        DamagedError: The file differs from what was written.
        OSError: The file cannot be read.
        ValueError: Another version of fitwatch wrote it.
    """
    import h5py

    sealed = _check_seal(path)
    try:
        with h5py.File(path, "r") as file:
            group = file.get(_GROUP)
            if group is None:
                return None
            if not sealed:
                raise DamagedError(f"{path}: its end is missing")
            state = json.loads(group["state"][()].tobytes())
            if state["version"] != VERSION:
                raise ValueError(
                    f"{path} was written by fitwatch {state.get('fitwatch')}, in version "
                    f"{state['version']} of the format; this is fitwatch {_core.__version__}, "
                    f"which knows version {VERSION}."
                )
            return Backup(state, [_get(group[str(n)]) for n in range(len(group) - 1)])
    except DamagedError:
        raise
    except (OSError, KeyError, RuntimeError) as error:  # what h5py raises on damaged files
        raise DamagedError(f"{path}: {error}") from error


def _check_seal(path: str) -> bool:
    """Whether the file has a seal; raises a `DamagedError` if it does not match."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(max(size - _SEAL.size, 0))
        seal = file.read()
    if len(seal) < _SEAL.size or not seal.startswith(_MARK):
        return False
    _, length, checksum = _SEAL.unpack(seal)
    if (checksum, length) != _checksum(path, size - _SEAL.size):
        raise DamagedError(f"{path}: the checksum does not match the content")
    return True


def _checksum(path: str, length: int) -> tuple[int, int]:
    checksum, rest = 0, length
    with open(path, "rb") as file:
        while rest:
            piece = file.read(min(_PIECE, rest))
            checksum = zlib.crc32(piece, checksum)
            rest -= len(piece)
            if not piece:
                break
    return checksum, length - rest


def _put(group: Any, name: str, array: Any) -> None:
    # As bytes: HDF5 lacks some types, such as bfloat16.
    dataset = group.create_dataset(
        name, data=np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    )
    dataset.attrs["dtype"] = array.dtype.name
    dataset.attrs["shape"] = array.shape


def _get(dataset: Any) -> Any:
    dtype = np.dtype(dataset.attrs["dtype"])
    return np.frombuffer(dataset[()].tobytes(), dtype).reshape(dataset.attrs["shape"])
