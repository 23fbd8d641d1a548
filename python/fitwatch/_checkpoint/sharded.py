"""Models whose weights are sharded over processes."""

from typing import Any

from fitwatch._keras import distribution


def refuse_sharded(callback: Any, model: Any) -> None:
    """Checks that this process has all of a model's weights.

    Raises:
        ValueError: The weights are sharded over processes.
    """
    if getattr(model, "built", False) and distribution.is_sharded(model):
        raise ValueError(
            f"{type(callback).__name__} cannot read weights that are sharded over processes "
            "(keras.distribution.ModelParallel). keras.callbacks.OrbaxCheckpoint saves such "
            "models: every process writes its part."
        )
