"""Models whose weights are divided among processes."""

from typing import Any

from fitwatch._keras import distribution


def refuse_sharded(callback: Any, model: Any) -> None:
    """Refuses a model whose weights no process has as a whole.

    Raises:
        ValueError: It is such a model.
    """
    if getattr(model, "built", False) and distribution.is_sharded(model):
        raise ValueError(
            f"{type(callback).__name__} cannot take the weights of a model that are divided among "
            "processes (keras.distribution.ModelParallel). What saves them is "
            "keras.callbacks.OrbaxCheckpoint, to which every process gives its part."
        )
