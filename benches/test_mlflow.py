"""MLflowLogger beside `mlflow.keras.MlflowCallback`, both with every batch, in one run.

Two times of a `fit()`, divided by its batches: until it returns (with MLflowLogger everything is
stored then), and until the last value is stored. All batches are in one block, so that nothing is
stored beside the training: the worst case. `make bench-trackers` has the package.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, nullcontext, suppress

import keras
import numpy as np
import pytest
from conftest import note

import fitwatch
from fitwatch import callbacks

BATCHES = 1000
ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "7"))
mlflow = pytest.importorskip("mlflow")


def theirs():
    return mlflow.keras.MlflowCallback(log_every_epoch=False, log_every_n_steps=1)


KINDS = {
    "ours": lambda: [callbacks.MLflowLogger()],
    "theirs": lambda: [theirs()],
    "none": lambda: [],
}


@contextmanager
def sqlite(folder):
    yield f"sqlite:///{folder}/mlflow.db"


@contextmanager
def server(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--host", "127.0.0.1", "--port", where.partition(":")[2], "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options],
        cwd=folder,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it has workers
    )
    try:
        for _ in range(1200):
            with suppress(OSError):
                urllib.request.urlopen(f"http://{where}/health").read()
                break
            time.sleep(0.1)
        yield f"http://{where}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def one_fit(model, kind):
    """Seconds for each batch until `fit()` returns, and until everything is stored."""
    x = np.random.default_rng(0).normal(size=(BATCHES, 4)).astype("float32")
    options = {"batch_size": 1, "shuffle": False, "verbose": 0}
    with fitwatch.enabled() if kind == "ours" else nullcontext(), mlflow.start_run() as run:
        began = time.perf_counter()
        model.fit(x, x[:, :1], callbacks=KINDS[kind](), **options)
        returned = time.perf_counter()
        if kind == "theirs":
            mlflow.flush_async_logging()
        stored = time.perf_counter()
    if kind != "none":
        points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "mae")
        assert len(points) == BATCHES
    return (returned - began) / BATCHES, (stored - began) / BATCHES


@pytest.mark.parametrize("store", [sqlite, server])
def test_every_batch(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # files of runs
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    times = {kind: [] for kind in KINDS}
    with store(tmp_path) as uri:
        mlflow.set_tracking_uri(uri)
        for round_ in range(ROUNDS + 1):
            for kind in list(KINDS) if round_ % 2 else list(KINDS)[::-1]:
                measured = one_fit(model, kind)
                if round_:  # the first one compiles
                    times[kind].append(measured)
    (ours, ours_stored), (other, other_stored) = (
        zip(*times[kind], strict=True) for kind in ("ours", "theirs")
    )
    alone = [returned for returned, _ in times["none"]]
    where = {sqlite: "SQLite", server: "server on loopback"}[store]
    what = f"MLflowLogger, {where}: `fit()`, which returns when all is stored"
    note("trackers", what, ours, alone, "no logger")
    note("trackers", what, ours, other, "MlflowCallback")
    what = f"MLflowLogger, {where}: until the last value is stored"
    assert note("trackers", what, ours_stored, other_stored, "MlflowCallback") < 0.5
