"""The cost of BlockLogger for each batch and column.

In a list without training, as in `test_callback_list.py`: what it adds to the same list with a
LossHistory that keeps the same columns. And in `fit()`, as in `test_health.py`.
"""

import os
import statistics
import time

import keras
from conftest import note
from full_set import make_fresh_logs, tiny_model
from sklearn.datasets import load_digits
from test_health import EpochBegins, EpochEnds, convolutional

from fitwatch import callbacks

BATCHES = 500
ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "100"))


def history():
    return callbacks.LossHistory(columns="all")


def ignore(block):
    """An action that costs nothing."""


KINDS = {
    "with LossHistory": lambda: [history()],
    "with LossHistory and BlockLogger": lambda: [history(), callbacks.BlockLogger(ignore)],
}


def test_a_batch_in_a_list():
    fresh, model = make_fresh_logs(), tiny_model()
    lists = []
    for make in KINDS.values():
        callback_list = callbacks.CallbackList(make(), model=model, epochs=1, steps=10**6)
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        lists.append(callback_list)

    def seconds(callback_list, first):
        logs = [fresh() for _ in range(BATCHES)]
        begin, end = callback_list.on_train_batch_begin, callback_list.on_train_batch_end
        started = time.perf_counter()
        for batch, values in enumerate(logs, first):
            begin(batch)
            end(batch, values)
        callback_list._recorder.drain()
        return (time.perf_counter() - started) / BATCHES

    pairs = []
    for round_ in range(ROUNDS):
        ways = lists if round_ % 2 else lists[::-1]
        times = {id(way): seconds(way, round_ * BATCHES) for way in ways}
        pairs.append([times[id(way)] for way in lists])
    columns = len(fresh())
    added = [(both - alone) / columns for alone, both in pairs]
    note("blocks", "BlockLogger: a column of a batch, in a list", added)
    alone, _ = zip(*pairs, strict=True)
    assert statistics.median(added) * columns < statistics.median(alone)


def test_fit():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    model = convolutional()
    batches = -(-len(x) // 32)
    times = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS // 2 + 1):
        for kind in list(KINDS) if round_ % 2 else list(KINDS)[::-1]:
            begins, ends = EpochBegins(), EpochEnds()
            watching = [ends, *KINDS[kind](), begins]
            callback_list = callbacks.CallbackList(watching, add_history=True, model=model)
            model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=callback_list)
            if round_:  # the first one compiles
                times[kind].append((ends.time - begins.time) / batches)
    alone, both = times.values()
    ratio = note("blocks", "BlockLogger, in fit()", both, alone, beside="the same with LossHistory")
    assert ratio < 1.5, keras.config.backend()
