"""The names of metrics in MLflow."""

import posixpath
import re

LENGTH = 250


def name_in_mlflow(column: str, kind: str) -> str:
    """The name that `mlflow.keras.MlflowCallback` uses, with what MLflow refuses replaced.

    Metrics of epochs have their own names: those of batches are taken by the points of batches.

    Args:
        column: A column of a block.
        kind: The kind of the block.
    """
    is_validation = column.startswith("val_")
    if kind == "validation" and is_validation:
        column = f"validation_{column.removeprefix('val_')}"
    elif kind == "epoch" and not is_validation:
        column = f"epoch_{column}"
    return _accepted(column)


def _accepted(name: str) -> str:
    """MLflow takes some characters only, and names that are normalized relative paths."""
    name = re.sub(r"[^/\w.\- :]", "_", name)[:LENGTH]
    path = posixpath.normpath(name)
    if path != name or path == "." or path.startswith(("/", "..")):
        name = name.replace("/", "_").lstrip(".") or "_"
    return name
