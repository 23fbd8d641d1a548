"""Several devices: the loss of a batch is the mean over all of them.

In a separate process, because a backend must know its devices before it starts.
"""

import subprocess
import sys

import keras
import pytest

BACKEND = keras.config.backend()

COMMON = """
import keras, numpy as np
from batch_losses import cut, dense, numbers, one_by_one, recorded
X, Y = numbers(88)
steps = int(__import__("sys").argv[1])

def run(make):
    keras.utils.set_random_seed(1)
    history = recorded(make(steps_per_execution=steps), (X, Y), 8)
    assert history.kind == "batch"
    return history.losses

def beside_one_device(losses):
    keras.utils.set_random_seed(1)
    expected = one_by_one(dense(), [batch for _ in range(2) for batch in cut((X, Y), 8)])
    assert losses.shape == expected.shape, losses.shape
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
"""
CODE = {
    "tensorflow": """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
    + COMMON
    + """
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    losses = run(dense)
beside_one_device(losses)
""",
    "jax": """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
"""
    + COMMON
    + """
keras.distribution.set_distribution(keras.distribution.DataParallel())
losses = run(dense)
keras.distribution.set_distribution(None)
beside_one_device(losses)
""",
}


@pytest.mark.skipif(BACKEND not in CODE, reason="Keras has one device only on torch")
@pytest.mark.parametrize("steps", [1, 8])
def test_the_mean_over_devices(steps):
    if BACKEND == "tensorflow" and steps > 1:
        pytest.skip("a MirroredStrategy with several steps fails in Keras itself")
    ran = subprocess.run(
        [sys.executable, "-c", CODE[BACKEND], str(steps)],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
