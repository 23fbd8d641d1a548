"""Readers of each backend's values."""

from contextlib import suppress
from functools import cache
from typing import Any

import keras
import numpy as np

from fitwatch import _core
from fitwatch._keras.backend import to_number
from fitwatch._keras.jax_arrays import is_deleted, is_ready, layout_keys

# The most values in one transfer from an accelerator.
BLOCK = 128


@cache
def reader() -> _core.Reader:
    """The reader of this process's backend."""
    backend = keras.config.backend()
    if backend == "jax":
        return jax_reader()
    if backend == "tensorflow":
        return tensorflow_reader()
    if backend == "torch":
        return torch_reader()
    return _core.Reader(to_number)


def jax_reader() -> _core.Reader:
    """The reader of JAX, which runs ahead of the program: arrays tell whether they are ready."""
    import jax

    return _core.Reader(
        to_number,
        array=type(jax.device_put(np.float32(0))),
        layout=jax_layout,
        keys=layout_keys(),
        transfer=None if jax.default_backend() == "cpu" else JaxTransfer(),
    )


def jax_layout(array: Any) -> str:
    """Where and in which type a JAX array stores its value, in the terms of `_core.Reader`."""
    if array.ndim:
        return "float asynchronous"
    if any(device.platform != "cpu" for device in array.devices()):
        # An array on a mesh that spans processes cannot be stacked with others of this process.
        return "device" if array.is_fully_addressable else "float asynchronous"
    if array.dtype not in (np.float32, np.float64):
        return "float asynchronous"
    if len(array.devices()) == 1:
        return f"address {array.dtype}"
    return f"replicated {array.dtype}" if array.is_fully_replicated else "float asynchronous"


class JaxTransfer:
    """Transfers many scalars from an accelerator at once, while the program goes on."""

    def __init__(self) -> None:
        import jax

        def stack(arrays: list[Any]) -> Any:
            return jax.numpy.stack([array.astype(float) for array in arrays])

        self._stack = jax.jit(stack)

    def start(self, arrays: list[Any]) -> Any:
        """Starts to copy; returns a handle for `ready` and `finish`."""
        alive = [None if is_deleted(array) else array.addressable_data(0) for array in arrays]
        there = [array for array in alive if array is not None]
        stacks = []
        for first in range(0, len(there), BLOCK):
            block = there[first : first + BLOCK]
            # Always the same number: another one would be compiled again.
            stacked = self._stack(block + block[-1:] * (BLOCK - len(block)))
            stacked.copy_to_host_async()
            stacks.append((stacked, len(block)))
        return [array is not None for array in alive], stacks

    def ready(self, handle: Any) -> bool:
        """Whether the values have arrived."""
        return all(is_ready(stacked) for stacked, _ in handle[1])

    def finish(self, handle: Any) -> list[float | None]:
        """The values; None for a deleted array."""
        alive, stacks = handle
        values = (x for stacked, count in stacks for x in np.asarray(stacked)[:count].tolist())
        return [next(values) if there else None for there in alive]


def tensorflow_reader() -> _core.Reader:
    """The reader of TensorFlow, whose eager tensors never change and are ready on the CPU."""
    import tensorflow as tf

    on_cpu = not tf.config.list_logical_devices("GPU")
    return _core.Reader(
        to_number,
        array=type(tf.constant(0.0)),
        layout=lambda array: "buffer" if on_cpu else "device",
        transfer=None if on_cpu else TensorFlowTransfer(),
    )


class TensorFlowTransfer:
    """Transfers many scalars from a GPU at once."""

    def start(self, arrays: list[Any]) -> Any:
        """Stacks the values on the device."""
        import tensorflow as tf

        scalar = [array.shape.rank == 0 and array.dtype.is_floating for array in arrays]
        there = [tf.cast(x, tf.float64) for x, fine in zip(arrays, scalar, strict=True) if fine]
        return scalar, tf.stack(there) if there else None

    def ready(self, handle: Any) -> bool:
        """Always true: TensorFlow does not tell."""
        return True

    def finish(self, handle: Any) -> list[float | None]:
        """The values; None for an array that is not a float scalar."""
        scalar, stacked = handle
        values = iter([] if stacked is None else stacked.numpy().tolist())
        return [next(values) if fine else None for fine in scalar]


def torch_reader() -> _core.Reader:
    """The reader of torch, whose logs hold live parameters.

    A value is converted at once, or copied on its device.
    """
    import torch

    def number(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.ndim == 0 and value.is_floating_point():
            # Twenty times as fast as through NumPy. Tensors without a value go to `to_number`.
            with suppress(Exception):
                return value.item()
        return to_number(value)

    if not torch.cuda.is_available():
        return _core.Reader(number)

    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_cuda and value.ndim == 0:
            return value.detach().clone()
        return None

    return _core.Reader(number, copy=copy, transfer=TorchTransfer())


class TorchTransfer:
    """Transfers many scalars from a GPU at once, while the program goes on."""

    def start(self, arrays: list[Any]) -> Any:
        """Starts to copy; returns a handle for `ready` and `finish`."""
        import torch

        stacked = torch.stack([array.double() for array in arrays])
        host = torch.empty(stacked.shape, dtype=stacked.dtype, pin_memory=True)
        host.copy_(stacked, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return host, event

    def ready(self, handle: Any) -> bool:
        """Whether the values have arrived."""
        return bool(handle[1].query())

    def finish(self, handle: Any) -> list[float | None]:
        """The values."""
        host, event = handle
        event.synchronize()
        values: list[float | None] = host.tolist()
        return values
