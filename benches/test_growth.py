"""How the cost of a batch's hooks grows: with batches, with metrics, with callbacks.

There is no training. The batches have scalars of the backend, made before the clock starts: fresh
ones in the tests of metrics and callbacks, and a hundred per thousand or ten thousand batches in
the test of batches. Stock Keras runs in turn; in the test of batches, only up to 100,000 batches,
each time after fitwatch has run as many.
"""

import contextlib
import io
import os
import statistics
import time

import pytest
from conftest import ROUNDS, note
from full_set import full_set, make_fresh_logs, tiny_model
from keras import callbacks as stock

from fitwatch import callbacks

LAST = int(os.environ.get("FITWATCH_BENCH_BATCHES", 10**7))
STOCK_LAST = min(LAST, 10**5)
BLOCK = 10**3
TABLE = "growth"


class Hooks:
    """The batch hooks of a list, with `metrics` metrics."""

    def __init__(self, module, folder, made, metrics=2):
        self.ours = module is callbacks
        self.list = module.CallbackList(
            made(module, folder),
            add_history=True,
            add_progbar=True,
            model=tiny_model(),
            verbose=1,
            epochs=1,
            steps=10**8,
        )
        self.fresh = make_fresh_logs()
        self.extra = [f"metric_{number}" for number in range(metrics - 2)]
        self.done = 0
        self.list.on_train_begin()
        self.list.on_epoch_begin(0)

    def logs(self):
        values = self.fresh()
        for name in self.extra:
            values[name] = self.fresh()["mae"]
        return values

    def run(self, batches, made_at_once=None):
        """Seconds per batch. A JAX array grows with each read, so each is read only a few times."""
        logs = [self.logs() for _ in range(made_at_once or batches)]
        begin, end = self.list.on_train_batch_begin, self.list.on_train_batch_end
        first, self.done = self.done, self.done + batches
        started = time.perf_counter()
        for batch in range(first, self.done):
            begin(batch)
            end(batch, logs[batch % len(logs)])
        if self.ours:
            self.list._recorder.drain()
        return (time.perf_counter() - started) / batches


@pytest.fixture(autouse=True)
def quiet():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def test_batches(tmp_path):
    """The ten-millionth batch takes no more time or memory than the thousandth."""

    def made(module, folder):
        return [*full_set(module, folder), *([own()] if module is callbacks else [])]

    def own():
        return callbacks.EarlyStopping("loss", unit="batch", patience=10**9, halflife=100)

    ours, theirs = (Hooks(module, tmp_path, made) for module in (callbacks, stock))
    costs, memory = {}, {}
    batches = BLOCK
    while batches <= LAST:
        block = BLOCK if batches < 10**5 else 10 * BLOCK
        if batches == LAST:
            memory["early"] = resident(), ours.done
        cost = [ours.run(block, 100) for _ in range((batches - ours.done) // block)]
        costs[batches] = cost[-50:]
        other = []
        if batches <= STOCK_LAST:
            other = [theirs.run(BLOCK, 100) for _ in range((batches - theirs.done) // BLOCK)][-5:]
        mine = costs[batches][-len(other) :]
        note(TABLE, f"{batches:,} batches so far", mine, other)
        batches *= 10
    grown = resident() - memory["early"][0]
    kept = ours.done - memory["early"][1]
    note(TABLE, f"bytes of memory for a batch, {LAST:,} batches", [grown / kept], unit="B")
    assert statistics.median(costs[LAST]) < 1.5 * statistics.median(costs[10**4])
    # A recorded loss takes 4 bytes; 32 MiB allow for what else the program does.
    assert grown < 8 * kept + 2**25


@pytest.mark.parametrize("metrics", [2, 10, 100])
def test_metrics(metrics, tmp_path):
    hooks = [Hooks(module, tmp_path, full_set, metrics) for module in (callbacks, stock)]
    batches = max(10, 500 // metrics)
    pairs = [[each.run(batches) for each in hooks] for _ in range(ROUNDS + 1)][1:]
    assert note(TABLE, f"{metrics} metrics", *zip(*pairs, strict=True)) < 0.5


@pytest.mark.parametrize("count", [1, 10, 50])
def test_callbacks(count, tmp_path):
    """Callbacks that have work to do for a batch, repeated up to the count."""

    def made(module, folder):
        one_after_another = [
            lambda: module.TerminateOnNaN(),
            lambda: module.ModelCheckpoint(folder / "x.keras", save_freq=10**9),
            lambda: module.TensorBoard(
                folder / f"{module.__name__}{len(chosen)}", update_freq=1000, write_graph=False
            ),
            lambda: module.EarlyStopping("loss"),
            lambda: module.ReduceLROnPlateau("loss"),
        ]
        chosen = []
        while len(chosen) < count:
            chosen.append(one_after_another[len(chosen) % 5]())
        return chosen

    hooks = [Hooks(module, tmp_path, made) for module in (callbacks, stock)]
    pairs = [[each.run(200) for each in hooks] for _ in range(ROUNDS + 1)][1:]
    assert note(TABLE, f"{count} callbacks", *zip(*pairs, strict=True)) < 0.5


def resident():
    """Bytes of resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
