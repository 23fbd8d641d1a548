"""Registers dict classes with `keras.tree` and the backends."""

import sys
from functools import cache
from typing import Any

import keras


@cache
def register_dict(cls: type[dict[Any, Any]]) -> None:
    """Registers a subclass of dict with tree functions that look up exact types."""

    def take_apart(mapping: Any) -> Any:
        return tuple(mapping.values()), tuple(mapping)

    def put_together(names: Any, values: Any) -> Any:
        return dict(zip(names, values, strict=True))

    if "jax" in sys.modules:
        sys.modules["jax"].tree_util.register_pytree_node(cls, take_apart, put_together)
    # The library that keras.tree uses.
    if keras.config.backend() == "torch":
        from torch.utils import _pytree

        _pytree.register_pytree_node(
            cls,
            lambda mapping: (list(mapping.values()), list(mapping)),
            lambda values, names: put_together(names, values),
        )
    elif "optree" in sys.modules:
        sys.modules["optree"].register_pytree_node(cls, take_apart, put_together, namespace="keras")
