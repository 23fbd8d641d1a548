"""The memory of the process and of its devices."""

import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from fitwatch._monitors import memory

MB = 1_000_000
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@on_linux
def test_an_array_is_seen_while_it_is_there():
    before = memory.rss()
    array = np.ones(100 * MB, np.uint8)
    with_array = memory.rss()
    assert array.nbytes * 0.98 < with_array - before < array.nbytes * 1.1
    del array
    assert memory.rss() < with_array - 90 * MB
    # Linux updates the peak lazily.
    assert memory.rss_peak() > with_array - MB
    assert memory.rss_peak() >= memory.rss()


@on_linux
def test_the_peak_grows_with_the_memory():
    array = np.ones(memory.rss_peak() - memory.rss() + 100 * MB, np.uint8)
    assert array.all()
    assert 0 <= memory.rss_peak() - memory.rss() < 20 * MB


@on_linux
def test_the_peak_is_not_that_of_the_process_which_started_this_one():
    array = np.ones(memory.rss() + 100 * MB, np.uint8)
    source = "from fitwatch._monitors import memory; print(memory.rss_peak())"
    found = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True)
    assert int(found.stdout) < array.nbytes


def test_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    assert memory.rss() is None
    (tmp_path / "status").write_text("Name:\tpython\n")
    assert memory.rss() is None


def test_on_macos_the_peak_is_in_bytes(monkeypatch):
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=123))
    monkeypatch.setitem(sys.modules, "resource", usage)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.rss_peak() == 123


def test_without_an_accelerator_there_is_no_memory_of_devices():
    if accelerators():
        pytest.skip("there is one")
    assert memory.device_memory() is None
    assert memory.device_memory_peak() is None


def test_an_array_on_an_accelerator_is_seen():
    if not accelerators():
        pytest.skip("there is none")
    before = memory.device_memory()
    array = keras.ops.ones((25 * MB,), "float32") + 1
    assert float(array[0]) == 2.0
    assert memory.device_memory() - before >= 100 * MB
    assert memory.device_memory_peak() >= memory.device_memory()


def test_the_memory_of_several_devices_is_added_up(monkeypatch):
    devices(monkeypatch, [(100, 300), (20, 50)])
    assert memory.device_memory() == 120
    assert memory.device_memory_peak() == 350


def test_a_jax_device_that_does_not_tell(monkeypatch):
    if keras.backend.backend() != "jax":
        pytest.skip("JAX only")
    import jax

    def raises():
        raise RuntimeError("UNIMPLEMENTED")

    for stats in (raises, dict, lambda: {"bytes_in_use": 3}):
        silent = SimpleNamespace(memory_stats=stats)
        monkeypatch.setattr(jax, "local_devices", lambda silent=silent: [silent])
        assert memory.device_memory() is None


def accelerators():
    """The accelerators of the backend."""
    if keras.backend.backend() == "jax":
        import jax

        return [device for device in jax.local_devices() if device.platform != "cpu"]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.config.list_logical_devices("GPU")
    import torch

    return range(torch.cuda.device_count())


def devices(monkeypatch, numbers):
    """Makes the backend tell these numbers: current and peak of each device."""
    if keras.backend.backend() == "jax":
        import jax

        stats = [{"bytes_in_use": now, "peak_bytes_in_use": peak} for now, peak in numbers]
        found = [SimpleNamespace(memory_stats=lambda one=one: one) for one in stats]
        monkeypatch.setattr(jax, "local_devices", lambda: found)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        stats = {
            f"/device:GPU:{at}": {"current": now, "peak": peak, "new key": 0}
            for at, (now, peak) in enumerate(numbers)
        }
        found = [SimpleNamespace(name=name) for name in stats]
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: found)
        monkeypatch.setattr(tf.config.experimental, "get_memory_info", stats.__getitem__)
    else:
        from torch import cuda

        monkeypatch.setattr(cuda, "device_count", lambda: len(numbers))
        monkeypatch.setattr(cuda, "memory_allocated", lambda at: numbers[at][0])
        monkeypatch.setattr(cuda, "max_memory_allocated", lambda at: numbers[at][1])
