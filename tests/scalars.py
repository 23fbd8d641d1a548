"""Scalars of a device that runs ahead: they are available late, and count their readers."""

import ctypes

import keras

from fitwatch import _core
from fitwatch._engine import readers


class LateScalar:
    """Behaves like a JAX array on one CPU device.

    Attributes:
        reads: How often its value was read.
        waits: How often a reader waited for it.
    """

    aval = "float32[]"

    def __init__(self, *values, ready=False):
        self._memory = (ctypes.c_float * len(values))(*values)
        self.nbytes = ctypes.sizeof(self._memory)
        self.ready = ready
        self.deleted = False
        self.reads = self.waits = 0

    def is_deleted(self):
        return self.deleted

    def is_ready(self):
        assert not self.deleted, "JAX would end the process here"
        return self.ready

    def block_until_ready(self):
        self.waits += 1
        self.ready = True

    def unsafe_buffer_pointer(self):
        assert self.ready, "the value is not there yet"
        assert not self.deleted
        self.reads += 1
        return ctypes.addressof(self._memory)

    def __float__(self):
        if self.deleted:
            raise RuntimeError("deleted")
        if not self.ready:
            self.block_until_ready()
        self.reads += 1
        return self._memory[-1]


def to_number(value):
    try:
        return float(value)
    except Exception:
        return value


def late_reader():
    return _core.Reader(
        to_number, array=LateScalar, layout=lambda _: "address float32", keys=["aval"]
    )


class DeviceScalar(LateScalar):
    """Behaves like an array on an accelerator: it has no address here."""

    def unsafe_buffer_pointer(self):
        raise AssertionError("a device's memory cannot be read")


class Transfer:
    """Brings device scalars; `done` says when a transfer has ended."""

    def __init__(self):
        self.sizes = []
        self.waits = 0
        self.done = False

    def start(self, arrays):
        self.sizes.append(len(arrays))
        return arrays

    def ready(self, handle):
        return self.done

    def finish(self, handle):
        self.waits += not self.done
        return [None if array.deleted else array._memory[-1] for array in handle]


def device_reader(transfer):
    return _core.Reader(to_number, array=DeviceScalar, layout=lambda _: "device", transfer=transfer)


def use(monkeypatch, reader):
    """Makes callback lists that are built from now on read with `reader`."""
    monkeypatch.setattr(readers, "reader", lambda: reader)


def backend_scalar(value, dtype="float32"):
    """A scalar as this backend's training step returns it."""
    return keras.ops.convert_to_tensor(value, dtype=dtype)
