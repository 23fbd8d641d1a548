"""What JAX's arrays tell without waiting for their values, by names that JAX does not document.

The core reads arrays by these names too, and by `unsafe_buffer_pointer`, in
rust/py/src/value/reader.rs.
"""

from typing import Any


def layout_keys() -> list[str]:
    """The attributes that tell apart arrays whose values lie otherwise, by their identity.

    Type and shape; and the places, if there can be more than one.
    """
    import jax

    one_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    return ["aval"] if one_cpu else ["aval", "sharding"]


def is_ready(array: Any) -> bool:
    """Whether the value was computed. A deleted array must not be asked: that ends the process."""
    return bool(array.is_ready())


def is_deleted(array: Any) -> bool:
    """Whether the array's memory was given to another one."""
    return bool(array.is_deleted())


def trace_of(value: Any) -> Any:
    """The trace that a value is a part of; None for one that is a number already."""
    return getattr(value, "_trace", None)
