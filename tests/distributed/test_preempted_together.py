"""SIGTERM to one of two processes: both back up after the same batch, and both end."""

import os
import random
import signal
import time

import keras
import pytest
from ranks import BACKEND, ROUNDS, fit, started

from fitwatch import callbacks

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")

ROUNDS = ROUNDS if "FITWATCH_ROUNDS" in os.environ else 1
EPOCHS = 3


class Signals(keras.callbacks.Callback):
    """Sends a signal to this process when so many batches are trained."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.001)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def trains(rank, folder, enabled, at, of_rank):
    """Trains until the end; tells the exit code, the batches and what came of it."""
    if BACKEND == "jax":
        import jax  # compiles only once for all rounds

        jax.config.update("jax_compilation_cache_dir", f"{folder}/../cache")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    keras.utils.set_random_seed(3)
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda b, logs: batches.append(b))
    losses = callbacks.LossHistory()
    own = [
        callbacks.BackupAndRestore(
            f"{folder}/backup", save_freq=False, exact=True, save_before_preemption=True
        ),
        losses,
        callbacks.EarlyStopping("val_loss", patience=5),
        callbacks.CSVLogger(f"{folder}/log.csv", update_freq="batch"),
        callbacks.ModelCheckpoint(
            f"{folder}/best.weights.h5", save_weights_only=True, save_on_background=True
        ),
        count,
        Signals(at if rank == of_rank else 0),
    ]
    try:
        result = fit(rank, own, enabled=enabled, epochs=EPOCHS, every=4, shuffle=True)
    except SystemExit as ended:
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        return {"code": ended.code, "batches": batches}
    del result["batches"]
    return {"code": 0, "batches": batches, **result, "losses": losses.losses.tolist()}


def ran(folder, enabled, at=0, of_rank=0):
    with started(trains, str(folder), enabled, at, of_rank) as ranks:
        return [rank.hear() for rank in ranks]


def test_both_end_after_the_same_batch_and_resume(tmp_path):
    random.seed(0)
    whole = ran(tmp_path / "whole", True)
    rows = (tmp_path / "whole" / "log.csv").read_text()
    batches = len(whole[0]["batches"])
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        at = random.randrange(1, batches)
        enabled = number % 4 != 3
        first, second = ran(folder, enabled, at, number % 2)
        assert first["code"] == second["code"] == 128 + signal.SIGTERM, (first, second)
        assert first["batches"] == second["batches"]
        trained = len(first["batches"])
        assert at <= trained < at + 4
        resumed = ran(folder, enabled)
        for one, before, expected in zip(resumed, (first, second), whole, strict=True):
            assert {**one, "batches": before["batches"] + one["batches"]} == expected
        assert (folder / "log.csv").read_text() == rows
