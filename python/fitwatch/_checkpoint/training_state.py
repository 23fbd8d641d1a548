"""The state of a model's training besides its weights."""

from typing import Any

import keras
import numpy as np

from fitwatch._checkpoint import backup_file
from fitwatch._checkpoint.backup_file import Backup
from fitwatch._keras import model_state
from fitwatch._keras.optimizer import build_optimizer


class TrainingState:
    """Saves the shapes, seeds and metrics of a model in a backup, and restores them.

    Args:
        model: A built model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            build_optimizer(model)  # creates all its variables, as the first step would
        self.seeds = model_state.seeds(model)  # which `save_weights` leaves out

    def take(self, arrays: list[Any]) -> dict[str, Any]:
        """The state as JSON; arrays are added to `arrays`."""
        return {
            "weights": _shapes(self._model.weights),
            "optimizer": _optimizer(self._model),
            "seeds": _add(arrays, self.seeds),
            "torch": torch_state(),
            "metrics": _add(arrays, self._model.metrics_variables),
        }

    def check(self, path: str, backup: Backup) -> None:
        """Checks that a backup fits this model.

        Raises:
            ValueError: It is the backup of another model.
        """
        state = backup.state
        kept = state["optimizer"]
        found = _optimizer(self._model)
        compared: list[tuple[str, Any, Any]] = [
            ("weights", _shapes(self._model.weights), state["weights"]),
            ("optimizer", found and found["variables"], kept and kept["variables"]),
        ]
        for what, ours, theirs in compared:
            different = _difference(ours, theirs)
            if different is None:
                continue
            if what == "optimizer" and found and kept and found["class"] != kept["class"]:
                different = f"the model has {found['class']}, the backup is of {kept['class']}"
            raise ValueError(
                f"{path} is the backup of another model: its {what} differ: {different}. Use the "
                "model that it was made from, or another backup_dir, or delete this one."
            )

        self._check_count(path, "seeds", self.seeds, backup)

    def check_metrics(self, path: str, backup: Backup) -> None:
        """Checks that the metrics in a backup fit this model, where they are to be restored."""
        self._check_count(path, "metrics", self._model.metrics_variables, backup)

    def _check_count(self, path: str, what: str, variables: list[Any], backup: Backup) -> None:
        start, count = backup.state[what]
        theirs = [list(array.shape) for array in backup.arrays[start : start + count]]
        ours = [list(variable.shape) for variable in variables]
        if ours != theirs:
            raise ValueError(
                f"{path} is the backup of another model: its {what} differ: the model has "
                f"{len(ours)} variables of shapes {ours}, the backup {len(theirs)}, {theirs}."
            )

    def load(self, path: str, backup: Backup | None) -> None:
        """Restores the weights, the optimizer and the seeds of random layers.

        Raises:
            Exception: Keras cannot load them; the model is unchanged.
        """
        optimizer = getattr(self._model, "optimizer", None)
        variables = [*self._model.variables, *(optimizer.variables if optimizer else [])]
        before = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
        try:
            backup_file.load_weights(path, self._model)
        except BaseException as error:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            error.add_note(f"{path} cannot be loaded into this model, which is unchanged.")
            raise
        if backup is None:
            return
        _assign(self.seeds, backup, "seeds")
        set_torch_state(backup.state["torch"])

    def load_metrics(self, backup: Backup) -> None:
        """Restores the metrics of the epoch so far."""
        _assign(self._model.metrics_variables, backup, "metrics")


def as_lists(variables: list[Any]) -> list[Any]:
    """The values of small variables, as JSON."""
    return [keras.ops.convert_to_numpy(variable).tolist() for variable in variables]


def assign_lists(variables: list[Any], values: list[Any]) -> None:
    """Assigns the result of `as_lists`."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(np.array(value, keras.backend.standardize_dtype(variable.dtype)))


def torch_state() -> list[int] | None:
    """The random state of torch, which its random layers use; None on other backends."""
    if keras.config.backend() != "torch":
        return None
    import torch

    state: list[int] = torch.get_rng_state().tolist()
    return state


def set_torch_state(state: list[int] | None) -> None:
    """Sets the random state of torch, if there is one."""
    if keras.config.backend() == "torch" and state is not None:
        import torch

        torch.set_rng_state(torch.tensor(state, dtype=torch.uint8))


def _shapes(variables: Any) -> list[list[Any]]:
    return [[v.path, list(v.shape), keras.backend.standardize_dtype(v.dtype)] for v in variables]


def _optimizer(model: Any) -> dict[str, Any] | None:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return None
    return {"class": type(optimizer).__name__, "variables": _shapes(optimizer.variables)}


def _difference(ours: list[Any] | None, theirs: list[Any] | None) -> str | None:
    """The first difference between two lists of shapes; names may differ, as Keras numbers them."""
    if ours is None or theirs is None:
        return None if ours is theirs else "only one of the two has any"
    for (name, *mine), (_, *other) in zip(ours, theirs, strict=False):
        if mine != other:
            shapes = [f"{dtype} {tuple(shape)}" for shape, dtype in (mine, other)]
            return f"{name} is {shapes[0]} in the model, and {shapes[1]} in the backup"
    if len(ours) != len(theirs):
        return f"the model has {len(ours)} variables, the backup {len(theirs)}"
    return None


def _add(arrays: list[Any], variables: Any) -> list[int]:
    start = len(arrays)
    arrays.extend(np.array(keras.ops.convert_to_numpy(v)) for v in variables)
    return [start, len(arrays) - start]


def _assign(variables: list[Any], backup: Backup, what: str) -> None:
    start, count = backup.state[what]
    for variable, array in zip(variables, backup.arrays[start : start + count], strict=True):
        variable.assign(array)
