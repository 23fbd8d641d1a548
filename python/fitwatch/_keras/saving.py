"""Saving models in Keras's formats: directly, or as a snapshot that another thread writes."""

import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import keras
import numpy as np

from fitwatch._keras.hdf5_file import Hdf5File

try:
    from keras.src.saving import saving_lib
except ImportError as error:
    from fitwatch._keras.version import unsupported

    raise unsupported("keras.src.saving.saving_lib") from error


# Adds content to a file that is open for writing: an `h5py.File` or a `zipfile.ZipFile`.
WriteExtra = Callable[[Any], None]


class WeightsSnapshot(saving_lib.H5IOStore):  # type: ignore[misc]
    """A copy of a model's weights in host memory, to be saved by another thread.

    Keras's store writes each value at once. This one keeps copies, which later train steps do not
    change, until `write` passes them to Keras's store in the same order. It reuses the `memory` of
    an unneeded snapshot: allocating it anew takes longer than copying the values.
    """

    def __init__(
        self, model: Any, memory: "WeightsSnapshot | None" = None, assets: Any = None
    ) -> None:
        # Does not call Keras's constructor: there is no file.
        self.mode = "w"
        self.archive = None
        self._groups: list[tuple[str, dict[str, Any] | None, dict[str, Any]]] = []
        self._free = {} if memory is None else memory._arrays()
        _capture(model, self, assets)

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: dict[str, Any] | None = None) -> "WeightsSnapshot":
        """Begins a group of values."""
        self._groups.append((path, metadata, {}))
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        value = _on_host(value)
        copy = self._free.pop((len(self._groups), key), None)
        if copy is None or copy.shape != value.shape or copy.dtype != value.dtype:
            copy = np.empty_like(value)
        np.copyto(copy, value)
        self._values[key] = copy

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Any:
        """The names of the values in the group."""
        return self._values.keys()

    def close(self) -> None:
        """Does nothing: no file is open."""

    @property
    def _values(self) -> dict[str, Any]:
        return self._groups[-1][2]

    def _arrays(self) -> dict[tuple[int, str], Any]:
        return {
            (number, key): array
            for number, (_, _, values) in enumerate(self._groups, 1)
            for key, array in values.items()
        }

    def write(self, path: str, write_extra: WriteExtra | None = None) -> None:
        """Writes what `model.save_weights(path)` would write, and calls `write_extra`."""
        with weights_file(path) as store:
            for group, metadata, values in self._groups:
                entry = store.make(group, metadata=metadata)
                for key, value in values.items():
                    entry[key] = value
            if write_extra is not None:
                write_extra(store.h5_file)


@contextmanager
def weights_file(path: str) -> Iterator[Any]:
    """Opens a new `.weights.h5` file as Keras does; its value is Keras's store."""
    with closing(Hdf5File(path)) as file, closing(saving_lib.H5IOStore(file, mode="w")) as store:
        yield store


def save_weights(model: Any, path: str, write_extra: WriteExtra | None = None) -> None:
    """Does what `model.save_weights(path)` does, but survives a full disk with an OSError."""
    if overrides_save(model):
        import h5py

        model.save_weights(path, overwrite=True)
        if write_extra is not None:
            with h5py.File(path, "a") as file:
                write_extra(file)
        return
    with weights_file(path) as store:
        _capture(model, store, None)
        if write_extra is not None:
            write_extra(store.h5_file)


def overrides_save(model: Any) -> bool:
    """Whether a model overrides `save` or `save_weights`."""
    return any(
        name in vars(model) or getattr(type(model), name, None) is not getattr(keras.Model, name)
        for name in ("save", "save_weights")
    )


class ModelSnapshot(WeightsSnapshot):
    """A copy of a whole model, to be saved by another thread."""

    def __init__(self, model: Any, memory: WeightsSnapshot | None = None) -> None:
        self._config, self._metadata = saving_lib._serialize_model_as_json(model)
        self._assets = saving_lib.DiskIOStore(saving_lib._ASSETS_DIRNAME, mode="w")
        try:
            super().__init__(model, memory, self._assets)
        except BaseException:
            self.close()
            raise

    def write(self, path: str, write_extra: WriteExtra | None = None) -> None:
        """Writes what `model.save(path)` would write, and calls `write_extra`."""
        weights = os.path.join(os.path.dirname(path), saving_lib._VARS_FNAME_H5)
        super().write(weights)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(saving_lib._METADATA_FILENAME, self._metadata)
            archive.writestr(saving_lib._CONFIG_FILENAME, self._config)
            # In chunks: a single one takes more memory, and holds up other threads.
            entry = zipfile.ZipInfo(saving_lib._VARS_FNAME_H5, time.localtime()[:6])
            entry.external_attr = 0o600 << 16
            entry.file_size = os.path.getsize(weights)
            with open(weights, "rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 24)
            saving_lib._write_to_zip_recursively(
                archive, self._assets.working_dir, saving_lib._ASSETS_DIRNAME
            )
            if write_extra is not None:
                write_extra(archive)

    def close(self) -> None:
        """Deletes temporary files."""
        self._assets.close()


def _on_host(value: Any) -> Any:
    """A value as a NumPy array, without a copy where possible."""
    if keras.config.backend() == "tensorflow" and hasattr(value, "value"):
        try:
            return np.asarray(memoryview(value.value.read_value()))
        except (AttributeError, TypeError, ValueError, BufferError):
            pass  # a type that NumPy lacks, or a value on several machines
    return saving_lib.backend.convert_to_numpy(value)


def _capture(model: Any, weights: Any, assets: Any) -> None:
    saving_lib._save_state(
        model,
        weights_store=weights,
        assets_store=assets,
        inner_path="",
        visited_saveables=set(),
    )
