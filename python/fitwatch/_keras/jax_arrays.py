"""Properties of JAX arrays that do not wait for their values, by undocumented names.

The core uses these names too, and `unsafe_buffer_pointer` (rust/py/src/value/reader.rs).
"""

from typing import Any


def layout_keys() -> list[str]:
    """The attributes whose identity determines the memory layout of an array.

    Type and shape; and the devices, if there can be more than one.
    """
    import jax

    one_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    return ["aval"] if one_cpu else ["aval", "sharding"]


def is_ready(array: Any) -> bool:
    """Whether the value is computed. For a deleted array this call ends the process."""
    return bool(array.is_ready())


def is_deleted(array: Any) -> bool:
    """Whether the array's memory was donated to another array."""
    return bool(array.is_deleted())


def trace_of(value: Any) -> Any:
    """The trace that a value belongs to; None for a concrete value."""
    return getattr(value, "_trace", None)


def replicated_sharding(arrays: list[Any]) -> Any:
    """The sharding of an array that all devices of a mesh have, on the mesh of these arrays.

    None where they are on one device.
    """
    import jax

    for array in arrays:
        sharding = getattr(array, "sharding", None)
        if isinstance(sharding, jax.sharding.NamedSharding) and sharding.mesh.size > 1:
            everywhere: Any = jax.sharding.PartitionSpec
            return jax.sharding.NamedSharding(sharding.mesh, everywhere())
    return None
