"""The memory of a process's devices, as each backend tells it."""

from typing import Any, NamedTuple

import keras


class Bytes(NamedTuple):
    """How much memory arrays take, in bytes."""

    current: int
    peak: int


def of_all_devices() -> Bytes | None:
    """The memory of all devices of this process together; None where the backend does not tell.

    The peak is the sum of the devices' peaks.
    """
    read = {"jax": _on_jax, "tensorflow": _on_tensorflow, "torch": _on_torch}
    backend = keras.backend.backend()
    devices = read[backend]() if backend in read else []
    if not devices:
        return None
    return Bytes(sum(one.current for one in devices), sum(one.peak for one in devices))


def _on_jax() -> list[Bytes]:
    import jax

    stats = [_stats(device) for device in jax.local_devices()]
    return [
        Bytes(one["bytes_in_use"], one["peak_bytes_in_use"])
        for one in stats
        if {"bytes_in_use", "peak_bytes_in_use"} <= set(one)
    ]


def _stats(device: Any) -> dict[str, int]:
    """What JAX knows about the memory of a device: nothing for a CPU."""
    try:
        return device.memory_stats() or {}
    except RuntimeError:  # not implemented on this platform
        return {}


def _on_tensorflow() -> list[Bytes]:
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("GPU")]
    stats = [tf.config.experimental.get_memory_info(name) for name in names]
    return [Bytes(one["current"], one["peak"]) for one in stats]


def _on_torch() -> list[Bytes]:
    from torch import cuda

    return [
        Bytes(cuda.memory_allocated(device), cuda.max_memory_allocated(device))
        for device in range(cuda.device_count())
    ]
