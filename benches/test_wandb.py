"""Every batch in a run of Weights & Biases, beside the package's own callback.

Offline, so that no network is measured. Each fit has a run of its own; all kinds of logger train
the same model in turn. Times are per batch: of `fit()`, and until the last value is in the file.
`make bench-trackers` has the package.
"""

import os
import time

import keras
import numpy as np
import pytest
from conftest import note
from full_set import tiny_model

from fitwatch import callbacks

wandb = pytest.importorskip("wandb")

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "7"))
BATCHES = 5000


def metrics_logger():
    from wandb.integration.keras import WandbMetricsLogger

    return keras.callbacks.CallbackList, [WandbMetricsLogger(log_freq="batch")]


KINDS = {
    "WandbLogger": lambda: (callbacks.CallbackList, [callbacks.WandbLogger()]),
    "WandbMetricsLogger": metrics_logger,
    "no logger": lambda: (keras.callbacks.CallbackList, []),
}


def test_wandb(tmp_path):
    settings = wandb.Settings(x_disable_stats=True, console="off", silent=True)
    model = tiny_model()
    x = np.random.default_rng(0).normal(size=(BATCHES * 8, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    fits = {kind: [] for kind in KINDS}
    stored = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS + 1):
        for kind, make in KINDS.items():
            run = wandb.init(mode="offline", dir=tmp_path, settings=settings)
            make_list, made = make()
            made = make_list(
                made, add_history=True, model=model, verbose=0, epochs=1, steps=BATCHES
            )
            began = time.perf_counter()
            model.fit(x, y, batch_size=8, shuffle=False, callbacks=made)
            trained = time.perf_counter()
            run.finish()
            if round_:  # the first one compiles
                fits[kind].append((trained - began) / BATCHES)
                stored[kind].append((time.perf_counter() - began) / BATCHES)
    for other in ("WandbMetricsLogger", "no logger"):
        note("trackers", "WandbLogger: `fit()`", fits["WandbLogger"], fits[other], beside=other)
    ratio = note(
        "trackers",
        "WandbLogger: until the last value is stored",
        stored["WandbLogger"],
        stored["WandbMetricsLogger"],
        beside="WandbMetricsLogger",
    )
    assert ratio < 1
