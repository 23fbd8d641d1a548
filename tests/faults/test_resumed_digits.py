"""A real run that is killed in the middle of an epoch and resumed by a new process."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

# All of them in `make faults`.
ORDERS = ["arrays", "resumable"] if "FITWATCH_KILLS" in os.environ else ["arrays"]

# Trains on digits with everything on, and prints the results. Keras shuffles `arrays`.
TRAINS = """
import hashlib, json, os, sys
import keras, numpy as np
from sklearn.datasets import load_digits
import fitwatch
folder, kill_at, order = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fitwatch.enable()
keras.utils.set_random_seed(1)
images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
model = keras.Sequential([
    keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, activation="relu"),
    keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dropout(0.3),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

class Killed(keras.callbacks.Callback):
    batches = 0
    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == kill_at:
            os.kill(os.getpid(), 9)

name = lambda file: os.path.join(folder, file)
stop = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=0.05, restore_best_weights=True)
listed = [
    keras.callbacks.BackupAndRestore(name("backup"), save_freq=7, exact=True),
    stop,
    keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.05),
    keras.callbacks.ModelCheckpoint(name("best.keras"), save_best_only=True),
    keras.callbacks.CSVLogger(name("log.csv"), update_freq="batch", loss="batch"),
    keras.callbacks.TensorBoard(name("board"), update_freq="batch"),
    Killed(),
]
train, test = slice(0, 1200), slice(1200, None)
data = {"x": images[train], "y": digits[train], "batch_size": 64}
if order == "resumable":
    data = {"x": fitwatch.resumable(images[train], digits[train], batch_size=64, seed=2)}
history = model.fit(
    **data, epochs=9, verbose=0, callbacks=listed, validation_data=(images[test], digits[test])
)
weights = hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in model.get_weights()))
best = keras.models.load_model(name("best.keras")).get_weights()
print(json.dumps({
    "weights": weights.hexdigest(),
    "best": hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in best)).hexdigest(),
    "history": history.history, "epochs": history.epoch, "stopped": stop.stopped_epoch,
    "rows": open(name("log.csv")).read(),
}))
"""


def run(folder, order, kill_at=0):
    return subprocess.run(
        [sys.executable, "-c", TRAINS, str(folder), str(kill_at), order],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )


def steps(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / "board" / "train"), size_guidance={"tensors": 0})
    board.Reload()
    return {
        tag: [(event.step, event.tensor_proto.tensor_content) for event in board.Tensors(tag)]
        for tag in ("batch_loss", "epoch_loss")
    }


@pytest.mark.parametrize("order", ORDERS)
def test_it_ends_as_a_run_that_was_not_killed(tmp_path, order):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = json.loads(run(whole, order).stdout)
    batch = random.Random(order).randint(30, 50)
    assert run(killed, order, batch).returncode == -signal.SIGKILL
    assert json.loads(run(killed, order).stdout) == expected
    assert steps(killed) == steps(whole)
