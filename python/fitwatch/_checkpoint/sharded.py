"""Models whose weights are sharded over processes."""

from typing import Any

import keras


def refuse_sharded(callback: Any, model: Any) -> None:
    """Raises a ValueError if a model's weights are sharded over processes."""
    if getattr(model, "built", False) and _is_sharded(model):
        raise ValueError(
            f"{type(callback).__name__} cannot read weights that are sharded over processes "
            "(keras.distribution.ModelParallel). keras.callbacks.OrbaxCheckpoint saves such "
            "models: every process writes its part."
        )


def _is_sharded(model: Any) -> bool:
    if keras.config.backend() != "jax":
        return False
    values = [variable.value for variable in getattr(model, "variables", ())]
    return any(
        not getattr(value, "is_fully_addressable", True)
        and not getattr(value, "is_fully_replicated", True)
        for value in values
    )
