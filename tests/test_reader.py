"""How values are converted to numbers, for each backend and layout."""

import copy
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from scalars import DeviceScalar, LateScalar, Transfer, backend_scalar, device_reader, late_reader

from fitwatch import _core
from fitwatch._engine import readers

BACKEND = keras.config.backend()


def keras_own(value):
    """The value that Keras converts a logged value to."""
    from keras.src.utils.python_utils import pythonify_logs

    return pythonify_logs({"x": value})["x"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "bool"])
def test_scalars_of_the_backend_are_what_keras_makes_of_them(dtype):
    value = backend_scalar(1, dtype)
    number = readers.reader().read(value)
    assert number == keras_own(value) == 1.0
    # Keras cannot convert TensorFlow's bfloat16, and hands it on as it is.
    assert type(number) is type(keras_own(value))
    assert type(number) is float or dtype == "bfloat16"


@pytest.mark.parametrize("value", [0.1, -1e-40, 3e38, float("inf"), float("-inf"), float("nan")])
def test_float32_is_exact(value):
    scalar = backend_scalar(value)
    np.testing.assert_equal(readers.reader().read(scalar), keras_own(scalar))


def test_float64_is_exact():
    if BACKEND == "jax":
        pytest.skip("JAX has no float64 unless it is told to; see the test below")
    scalar = backend_scalar(0.1, "float64")
    assert readers.reader().read(scalar) == 0.1


@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        2.5,
        np.float64(2.5),
        np.float32(0.1),
        np.int64(7),
        np.array(3.0),
        "1.5",
        "text",
        None,
    ],
    ids=repr,
)
def test_other_values_are_what_keras_makes_of_them(value):
    read = readers.reader().read(value)
    assert read == keras_own(value)
    assert type(read) is type(keras_own(value))


def test_an_array_comes_as_numpy_has_it():
    value = keras.ops.convert_to_tensor([1.0, 2.0])
    read = readers.reader().read(value)
    assert isinstance(read, np.ndarray)
    np.testing.assert_array_equal(read, keras_own(value))


def test_a_variable_is_read():
    assert readers.reader().read(keras.Variable(2.0).value) == 2.0
    assert readers.reader().read(keras.Variable(2.0)) == keras_own(keras.Variable(2.0))


def test_an_interrupt_while_converting_is_no_value():
    class Interrupted:
        def __float__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        readers.reader().read(Interrupted())


def test_an_address_is_read_once_the_value_is_there():
    reader = late_reader()
    scalar = LateScalar(0.1)
    assert reader.read(scalar) == np.float32(0.1)
    assert (scalar.waits, scalar.reads) == (1, 1)
    assert reader.read(scalar) == np.float32(0.1)
    assert scalar.waits == 1


def test_an_array_that_is_gone_is_never_touched():
    scalar = LateScalar(0.1, ready=True)
    scalar.deleted = True
    assert late_reader().read(scalar) is scalar
    assert scalar.reads == 0


def test_an_array_of_another_shape_is_not_read_as_the_first_one():
    """The type and shape of each array count, not those of the first."""
    layouts = []

    def layout(array):
        layouts.append(array.aval)
        return "address float32" if array.aval == "float32[]" else "float"

    reader = _core.Reader(float, array=LateScalar, layout=layout, keys=["aval"])
    assert reader.read(LateScalar(1.0, ready=True)) == 1.0
    other = LateScalar(2.0, ready=True)
    other.aval = "int32[3]"
    other.unsafe_buffer_pointer = None
    assert reader.read(other) == 2.0
    reader.read(LateScalar(1.0, ready=True))
    assert layouts == ["float32[]", "int32[3]"]  # asked once for each


def test_a_device_scalar_can_be_read_alone():
    transfer = Transfer()
    assert device_reader(transfer).read(DeviceScalar(0.5)) == 0.5


def test_an_array_that_another_thread_deletes_while_it_is_waited_for(monkeypatch):
    def block_until_ready(self):
        self.ready = self.deleted = True

    def unsafe_buffer_pointer(self):
        raise RuntimeError("called on a deleted buffer")

    monkeypatch.setattr(LateScalar, "block_until_ready", block_until_ready)
    monkeypatch.setattr(LateScalar, "unsafe_buffer_pointer", unsafe_buffer_pointer)
    value = LateScalar(1.0)
    assert late_reader().read(value) is value


def test_arguments_are_checked():
    with pytest.raises(TypeError):
        _core.Reader()
    with pytest.raises(TypeError):
        _core.Reader(float, array="no type")


JAX_CASES = """
import copy
import os
import pickle
os.environ["KERAS_BACKEND"] = "jax"
import jax, jax.numpy as jnp, numpy as np
import fitwatch.callbacks
from fitwatch import _core
from fitwatch._engine import readers
reader = readers.reader()

a = jax.jit(lambda x: x * 2)(jnp.float32(1)); a.delete()
assert reader.read(a) is a                          # Keras keeps what it cannot read, too

assert jax.device_count() == 2
mesh = jax.sharding.Mesh(jax.devices(), "x")
everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
value = jax.device_put(jnp.float32(0.1), everywhere)
assert readers.jax_layout(value) == "replicated float32"
assert reader.read(value) == float(np.float32(0.1))
gone = jax.device_put(jnp.float32(0.2), everywhere); gone.delete()
assert reader.read(gone) is gone

def items(row, access):
    columns = _core.StepColumns(lambda: None, print)
    logs = _core.Tape(0, ["a", "b"], len(row) // 2, access).push(columns, row)
    return [reader.read(value) for value in logs.values()]

rows = jax.device_put(jnp.float32([1, 2, 0.1, 0.2]), everywhere)
assert items(rows, "replicated float32") == np.float32([0.1, 0.2]).tolist()

second = jax.device_put(jnp.float32(0.3), jax.devices()[1])
assert reader.read(second) == float(np.float32(0.3))

with jax.enable_x64(True):
    double = jnp.float64(0.1)
    assert readers.jax_layout(double) == "address float64"
    assert reader.read(double) == 0.1
    assert items(jnp.float64([1, 2, 0.1, 0.2]), "address float64") == [0.1, 0.2]
"""


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's arrays")
def test_jax_arrays_of_every_layout():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", JAX_CASES], env=environment, check=True)


def taped(array, names, rows=1, access="address float32"):
    """The logs of a step that returned an array."""
    columns = _core.StepColumns(lambda: None, print)
    return _core.Tape(0, names, rows, access).push(columns, array)


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's arrays")
@pytest.mark.parametrize("access", ["address float32", "transfer float32", "ready float32"])
def test_values_in_one_array(access):
    """Several values that left a step as one array."""
    import jax

    reader = readers.reader()
    row = jax.jit(lambda x: x * 2)(np.array([1, np.nan, 0.05], "float32"))
    expected = [2, np.nan, float(np.float32(0.1))]
    items = list(taped(row, ["a", "b", "c"], access=access).values())
    np.testing.assert_equal([reader.read(item) for item in items], expected)
    np.testing.assert_equal([float(item) for item in items], expected)
    np.testing.assert_equal([keras_own(item) for item in items], expected)
    np.testing.assert_equal(reader.read(row), np.float32(expected))  # as any array
    assert readers.jax_layout(row) == "float asynchronous"  # a drain does not wait for it


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_value_of_an_array_is_a_number(dtype):
    """The logs that `fit()` gives to a list may be computed with."""
    (item,) = taped(np.array([0.1], dtype), ["a"], access=f"ready {dtype}").values()
    scalar = np.dtype(dtype).type(0.1)
    for same in (
        item.numpy(),
        np.asarray(item),
        item.item(),
        copy.copy(item),
        +item.dtype.type(item),
    ):
        assert same == scalar
    assert pickle.loads(pickle.dumps(item)) == scalar
    assert np.asarray(item).dtype == item.dtype == dtype
    assert (item.shape, item.ndim) == ((), 0)
    assert np.array([item, 2 * item], dtype).tolist() == [scalar, 2 * scalar]
    results = [item + 1, 1 + item, item - 1, 1 - item, item * 3, 3 * item, item / 3, 3 / item]
    expected = [scalar + 1, 1 + scalar, scalar - 1, 1 - scalar, scalar * 3, 3 * scalar]
    assert results == [*expected, scalar / 3, 3 / scalar]
    assert [item // 0.03, 1 // item, item % 0.03, 1 % item] == [
        scalar // 0.03,
        1 // scalar,
        scalar % 0.03,
        1 % scalar,
    ]
    assert (-item, abs(-item), int(item), bool(item)) == (-scalar, scalar, 0, True)
    assert item < 1
    assert item >= scalar
    assert item != 0.2
    assert {item: 1}[scalar] == 1
    assert f"{item:.3f} {item} {item!r}" == f"{scalar:.3f} {scalar} {scalar!r}"
    assert float(keras.ops.mean(keras.ops.convert_to_tensor(item))) == pytest.approx(0.1)
    with pytest.raises(AttributeError, match="unknown"):
        _ = item.unknown


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's arrays")
def test_an_array_of_another_kind_is_refused():
    import jax.numpy as jnp

    row = jnp.array([1.0, 2.0, 3.0], "float32")
    for array, names in ((row, ["a", "b"]), (row.astype("bfloat16"), ["a", "b", "c"])):
        for access in ("address float32", "ready float32"):
            with pytest.raises(ValueError, match="an array of another size"):
                float(taped(array, names, access=access)["a"])
    with pytest.raises(ValueError, match="no access: address float16"):
        _core.Tape(1, [], 1, "address float16")


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's arrays")
def test_values_of_an_array_that_was_deleted_are_kept_unread():
    import jax.numpy as jnp

    row = jnp.array([1.0, 2.0], "float32")
    item = taped(row, ["a", "b"])["b"]
    row.delete()
    assert type(readers.reader().read(item)) is type(item)  # as Keras keeps it
    with pytest.raises(RuntimeError, match="were deleted"):
        float(item)


def test_values_of_an_array_that_comes_late():
    row = LateScalar(0.1)
    item = taped(row, ["a"])["a"]
    reader = late_reader()
    assert reader.read(item) == np.float32(0.1)
    assert (row.waits, row.reads) == (1, 1)


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's arrays")
@pytest.mark.parametrize("count", [1, 128, 300])
def test_jax_transfer(count):
    """The transfer of values from an accelerator; here the CPU stands for it."""
    transfer = readers.JaxTransfer()
    arrays = [backend_scalar(i / 7) for i in range(count)]
    arrays[count // 2].delete()
    handle = transfer.start(arrays)
    values = transfer.finish(handle)
    assert transfer.ready(handle)
    expected = [float(np.float32(i / 7)) for i in range(count)]
    expected[count // 2] = None
    assert values == expected


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow's tensors")
def test_tensorflow_transfer():
    transfer = readers.TensorFlowTransfer()
    arrays = [backend_scalar(0.1), backend_scalar([1.0, 2.0]), backend_scalar(2, "float16")]
    handle = transfer.start(arrays)
    assert transfer.ready(handle)
    assert transfer.finish(handle) == [float(np.float32(0.1)), None, 2.0]
    assert transfer.finish(transfer.start([])) == []


@pytest.mark.skipif(BACKEND != "torch", reason="about torch's tensors")
def test_tensors_are_read_as_keras_reads_them():
    import torch

    for value in (0.1, 1e-40, float("nan"), float("-inf")):
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            tensor = torch.tensor(value, dtype=dtype, requires_grad=True)
            read, theirs = readers.reader().read(tensor), keras_own(tensor)
            assert type(read) is float
            np.testing.assert_equal(read, theirs)
    for other in (torch.tensor(3), torch.tensor(True), torch.tensor([2.5])):
        assert readers.reader().read(other) == keras_own(other)
    without_value = torch.zeros((), device="meta")
    assert readers.reader().read(without_value) is without_value
