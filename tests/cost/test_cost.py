"""A guard on the cost of a batch: it fails if the cost has about doubled.

It asserts ratios, never times: the shortest of many rounds, relative to the shortest round of a
yardstick that runs in turn with it (plain Python hooks that also read the values). The limits are
generous, but less than twice the ratios measured when they were written, which stand beside them.

`make test-cost` runs it in a separate process: after two thousand other tests, all code that
allocates objects is slower.
"""

import os
import sys
import time
from pathlib import Path

import keras
import pytest

from fitwatch import callbacks

sys.path.append(str(Path(__file__).parents[2] / "benches"))
from full_set import full_set, make_fresh_logs, tiny_model

pytestmark = pytest.mark.skipif("FITWATCH_COST" not in os.environ, reason="make test-cost")
BATCHES = 300
ROUNDS = 300
BACKEND = keras.config.backend()
# Beside the yardstick, which is faster by far than one of Keras's callbacks. On the day, on JAX,
# TensorFlow and torch: 0.5 to 0.6; 4.3, 5.4 and 4; 0.2, where the yardstick's reading is slow, 1.4
# and 3.4.
NOTHING = 0.9
EVERYTHING = {"tensorflow": 8.0}.get(BACKEND, 7.0)
FRESH = {"tensorflow": 2.4, "jax": 0.33, "torch": 6.0}[BACKEND]


class Yardstick:
    """Two hooks of plain Python that do the minimum: count, and read the logs."""

    def __init__(self):
        self.seen = 0
        self.total = 0.0
        self.drain = lambda: None

    def on_train_batch_begin(self, batch, logs=None):
        self.seen = batch

    def on_train_batch_end(self, batch, logs=None):
        for name in ("loss", "mae"):
            self.total += float(logs[name])


class Twice:
    """Hooks that cost twice as much: those of two lists."""

    def __init__(self, one, other):
        self._lists = one, other

    def on_train_batch_begin(self, batch, logs=None):
        for each in self._lists:
            each.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        for each in self._lists:
            each.on_train_batch_end(batch, logs)

    def drain(self):
        for each in self._lists:
            each.drain()


@pytest.fixture
def a_list(tmp_path):
    """Makes lists; what they have written is closed in the end."""
    made = []

    def make(everything=True):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        callback_list = callbacks.CallbackList(
            full_set(callbacks, folder) if everything else [],
            add_history=True,
            model=tiny_model(),
            epochs=1,
            steps=10**9,
        )
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        callback_list.drain = callback_list._recorder.drain
        made.append(callback_list)
        return callback_list

    yield make
    for callback_list in made:
        callback_list.on_train_end({})


def floats():
    return {"loss": 0.5, "mae": 0.25}


def seconds(hooks, make_logs, first):
    """The time of a round, with the pending work of its batches."""
    logs = [make_logs() for _ in range(BATCHES)]
    begin, end = hooks.on_train_batch_begin, hooks.on_train_batch_end
    started = time.perf_counter()
    for batch, values in enumerate(logs, first):
        begin(batch)
        end(batch, values)
    hooks.drain()
    return time.perf_counter() - started


def beside_yardstick(hooks, make_logs=floats, rounds=ROUNDS):
    """The ratio of the shortest round to the yardstick's shortest."""
    yardstick = Yardstick()
    pairs = [
        [seconds(each, make_logs, number * BATCHES) for each in (hooks, yardstick)]
        for number in range(rounds)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    return ours / theirs


def test_nothing_to_do(a_list):
    assert beside_yardstick(a_list(everything=False)) < NOTHING


def test_everything_on(a_list):
    assert beside_yardstick(a_list()) < EVERYTHING


def test_everything_on_with_values_of_the_backend(a_list):
    assert beside_yardstick(a_list(), make_fresh_logs(), ROUNDS // 5) < FRESH


@pytest.mark.parametrize("everything", [True, False])
def test_twice_the_cost_is_seen(everything, a_list):
    one = beside_yardstick(a_list(everything))
    two = beside_yardstick(Twice(a_list(everything), a_list(everything)))
    assert two > 1.6 * one


def test_the_last_batches_cost_what_the_first_cost(a_list):
    """A list after a hundred thousand batches, in turn with a list that begins."""
    old, new = a_list(), a_list()
    for number in range(320):
        seconds(old, floats, number * BATCHES)
    pairs = [
        (seconds(old, floats, (320 + number) * BATCHES), seconds(new, floats, number * BATCHES))
        for number in range(30)
    ]
    last, first = (min(times) for times in zip(*pairs, strict=True))
    assert last < 1.5 * first
