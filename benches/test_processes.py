"""What training in two processes costs: an agreement, and the hooks of a batch.

Both processes run the same hooks, without a model that trains, so that nothing but the callbacks is
measured: a list that agrees with the other process, and one that knows of no other, in turn.
"""

import statistics
import sys
import time
from pathlib import Path

import keras
import pytest
from conftest import TABLES

for folder in ("tests", "tests/distributed"):
    sys.path.append(str(Path(__file__).parent.parent / folder))

BATCHES = 2000
ROUNDS = 15


def hooks(callback_list, epoch):
    """Seconds for a batch, and for the end of the epoch."""
    logs = {"loss": 1.0, "mae": 1.0}
    callback_list.on_epoch_begin(epoch)
    began = time.perf_counter()
    for batch in range(BATCHES):
        callback_list.on_train_batch_begin(batch)
        callback_list.on_train_batch_end(batch, logs)
    trained = time.perf_counter()
    callback_list.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0})
    return (trained - began) / BATCHES, time.perf_counter() - trained


def measure(rank, folder):
    from ranks import digits_model

    from fitwatch import callbacks, distributed

    distributed.configure(agree_every=100)

    def made(together):
        own = [
            callbacks.EarlyStopping("loss", unit="batch", patience=10**9),
            callbacks.EarlyStopping("val_loss", patience=10**9),
            callbacks.ReduceLROnPlateau("val_loss", patience=10**9),
            callbacks.TerminateOnNaN(),
            callbacks.CSVLogger(f"{folder}/{together}.csv"),
            callbacks.LossHistory(),
        ]
        return callbacks.CallbackList(own, model=model)

    model = digits_model()
    lists = {True: made(True)}
    alone = distributed.world
    distributed.world = lambda model=None: distributed.World(rank, 1, None, averages=False)
    lists[False] = made(False)
    distributed.world = alone
    for callback_list in lists.values():
        callback_list.on_train_begin()
    rounds = [
        {kind: hooks(lists[kind], epoch) for kind in ((True, False), (False, True))[epoch % 2]}
        for epoch in range(ROUNDS + 1)
    ][1:]
    agreement = lists[True]._fitwatch_agreement
    exchanges = []
    for _ in range(200):
        began = time.perf_counter()
        agreement.gather("nothing", {"stop": False, "rates": []})
        exchanges.append(time.perf_counter() - began)
    return rounds, statistics.median(exchanges)


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="one process on TensorFlow")
def test_two_processes(tmp_path):
    from ranks import together

    (rounds, exchange), _ = together(measure, str(tmp_path))

    def median(kind, what):
        return statistics.median(one[kind][what] for one in rounds)

    ratio = statistics.median(one[True][0] / one[False][0] for one in rounds)
    TABLES.append(
        (
            "two processes",
            [
                "| six callbacks, of rank 0 | alone | with another process |",
                "|---|---:|---:|",
                f"| hooks of a batch (an agreement every 100) | {median(False, 0) * 1e6:.2f} µs "
                f"| {median(True, 0) * 1e6:.2f} µs |",
                f"| end of an epoch | {median(False, 1) * 1e3:.2f} ms "
                f"| {median(True, 1) * 1e3:.2f} ms |",
                f"| one agreement by itself | | {exchange * 1e3:.2f} ms |",
                "",
                f"Hooks of a batch, ratio: {ratio:.2f}.",
            ],
        )
    )
    assert exchange < 0.1
