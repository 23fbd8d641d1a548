"""The cost of training in two processes: of an agreement, and of the hooks of a batch.

Both processes run the same hooks, without training a model, so that only the callbacks are
measured: in turn, a list that agrees with the other process and a list that is alone.
"""

import statistics
import sys
import time
from pathlib import Path

import keras
import pytest
from conftest import note

for folder in ("tests", "tests/distributed"):
    sys.path.append(str(Path(__file__).parent.parent / folder))

BATCHES = 2000
ROUNDS = 15


def hooks(callback_list, epoch):
    """Seconds per batch, and of the end of the epoch."""
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

    def made(kind):
        own = [
            callbacks.EarlyStopping("loss", unit="batch", patience=10**9),
            callbacks.EarlyStopping("val_loss", patience=10**9),
            callbacks.ReduceLROnPlateau("val_loss", patience=10**9),
            callbacks.TerminateOnNaN(),
            callbacks.CSVLogger(f"{folder}/{kind}.csv"),
            callbacks.LossHistory(),
        ]
        return callbacks.CallbackList(own, model=model)

    model = digits_model()
    lists = {}
    with distributed.alone():
        lists["alone"] = made("alone")
    for kind, every in (("together", 100), ("seldom", 10**6)):
        lists[kind] = made(kind)
        distributed.configure(agree_every=every)
        lists[kind].on_train_begin()
    lists["alone"].on_train_begin()
    orders = [list(lists), list(lists)[::-1]]
    rounds = [
        {kind: hooks(lists[kind], epoch) for kind in orders[epoch % 2]}
        for epoch in range(ROUNDS + 1)
    ][1:]
    coordinator = lists["together"]._fitwatch_coordinator
    exchanges = []
    for _ in range(200):
        began = time.perf_counter()
        coordinator.gather("nothing", {"stop": False, "rates": []})
        exchanges.append(time.perf_counter() - began)
    return rounds, statistics.median(exchanges)


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="one process on TensorFlow")
def test_two_processes(tmp_path):
    from ranks import together

    (rounds, exchange), _ = together(measure, str(tmp_path))

    def beside(kind, what):
        table = "a batch" if what == 0 else "the end of an epoch"
        names = {
            "seldom": "two processes",
            "together": "two processes that agree every 100 batches",
        }
        pairs = ([one[each][what] for one in rounds] for each in (kind, "alone"))
        return note(
            "processes", f"{names[kind]}, {table}", *pairs, beside="the same list in one process"
        )

    beside("together", 0)
    beside("seldom", 1)
    note("processes", "one agreement", [exchange])
    assert beside("seldom", 0) < 3
    assert exchange < 0.1
