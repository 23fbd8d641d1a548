"""One process with several devices: the results are those of Keras's own callbacks.

In a separate process, because a backend must know its devices before it starts.
"""

import subprocess
import sys

import keras
import pytest

BACKEND = keras.config.backend()

DEVICES = {
    "tensorflow": """
import contextlib
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
""",
    "jax data": """
import contextlib, os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras
keras.distribution.set_distribution(keras.distribution.DataParallel())
scope = contextlib.nullcontext
""",
    "jax model": """
import contextlib, os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras
mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
layout = keras.distribution.LayoutMap(mesh)
layout[".*kernel"] = (None, "model")
keras.distribution.set_distribution(
    keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
)
scope = contextlib.nullcontext
""",
}

CODE = """
import json, os, tempfile
import keras, numpy as np
from sklearn.datasets import load_digits
import fitwatch
from fitwatch import distributed

x, y = load_digits(return_X_y=True)
x, y = (x / 16).astype("float32"), y.astype("int32")

def run(enabled):
    from keras import callbacks
    folder = tempfile.mkdtemp()
    keras.utils.set_random_seed(1)
    with scope():
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    stopping = callbacks.EarlyStopping(
        "val_loss", min_delta=0.05, patience=3, restore_best_weights=True
    )
    plateau = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.1)
    own = [
        stopping,
        plateau,
        callbacks.ModelCheckpoint(f"{folder}/best.keras", save_best_only=True),
        callbacks.ModelCheckpoint(f"{folder}/{{epoch}}.weights.h5", save_weights_only=True),
        callbacks.CSVLogger(f"{folder}/log.csv"),
        callbacks.TensorBoard(f"{folder}/board", update_freq=1),
        callbacks.TerminateOnNaN(),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.99),
        callbacks.BackupAndRestore(f"{folder}/backup"),
    ]
    if enabled:
        own += [
            fitwatch.callbacks.LossHistory(),
            fitwatch.callbacks.EarlyStopping("loss", unit="batch", patience=10**6),
            fitwatch.callbacks.ReduceLROnPlateau("loss", unit="batch", patience=10**6),
        ]
    history = model.fit(
        x[:1280], y[:1280], batch_size=64, epochs=12, shuffle=False, verbose=0,
        validation_data=(x[1280:1792], y[1280:1792]), callbacks=own,
    )
    assert distributed.world_size() == 1 and distributed.rank() == 0
    if enabled:
        assert len(own[-3].losses) == 20 * len(history.epoch)
        assert own[-3].kind == "batch"
        assert own[-2].wait < 20 * len(history.epoch)
    best = keras.models.load_model(f"{folder}/best.keras")
    model.load_weights(f"{folder}/1.weights.h5")
    return {
        "history": history.history,
        "stopped": stopping.stopped_epoch,
        "best": [stopping.best, stopping.best_epoch, plateau.best],
        "waits": [stopping.wait, plateau.wait],
        "csv": open(f"{folder}/log.csv", newline="").read(),
        "weights": [float(np.abs(w).sum()) for w in best.get_weights()],
        "files": sorted(name for name in os.listdir(folder)),
    }

stock = run(False)
with fitwatch.enabled():
    ours = run(True)
for name in stock:
    assert stock[name] == ours[name], (name, stock[name], ours[name])
assert ours["stopped"] > 0
assert min(ours["history"]["learning_rate"]) < 0.2
"""


@pytest.mark.parametrize("devices", [name for name in DEVICES if name.startswith(BACKEND)])
def test_everything_is_as_with_keras(devices, tmp_path):
    code = DEVICES[devices] + CODE
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
