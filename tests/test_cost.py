"""A guard on what a batch costs: twice as slow does not pass.

Never a time: the shortest of many rounds, beside the shortest of a yardstick of the same kind that
ran in turn with it (plain Python hooks; for values of the backend, reading these). The ratios are
generous, but less than twice those of the day when they were written, which stand beside them.
"""

import sys
import time
from pathlib import Path

import keras

from fitwatch import callbacks

sys.path.append(str(Path(__file__).parent.parent / "benches"))
from full_set import full_set, make_fresh_logs, tiny_model

BATCHES = 300
ROUNDS = 40
BACKEND = keras.config.backend()
# Beside the yardstick, which is faster by far than one of Keras's callbacks. On the day: 0.6; 4.3
# on JAX and 5.4 on TensorFlow; with values of the backend 0.22 on JAX, where reading is slow, 1.4
# on TensorFlow and 3.4 on torch.
NOTHING = 1.0
EVERYTHING = 8.0
FRESH = {"tensorflow": 2.4, "jax": 0.4, "torch": 6.0}[BACKEND]


class Yardstick:
    """Two hooks of plain Python that do what any must: count, and look into the logs."""

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
            each._recorder.drain()


def a_list(folder, everything=True):
    made = full_set(callbacks, folder) if everything else []
    callback_list = callbacks.CallbackList(
        made, add_history=True, model=tiny_model(), epochs=1, steps=10**9
    )
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    callback_list.drain = callback_list._recorder.drain
    return callback_list


def floats():
    return {"loss": 0.5, "mae": 0.25}


def seconds(hooks, make_logs, first):
    """What a round takes, whatever is still to be done for its batches included."""
    logs = [make_logs() for _ in range(BATCHES)]
    begin, end = hooks.on_train_batch_begin, hooks.on_train_batch_end
    started = time.perf_counter()
    for batch, values in enumerate(logs, first):
        begin(batch)
        end(batch, values)
    hooks.drain()
    return time.perf_counter() - started


def beside_yardstick(hooks, make_logs=floats):
    """The shortest round beside the yardstick's shortest."""
    yardstick = Yardstick()
    pairs = [
        [seconds(each, make_logs, number * BATCHES) for each in (hooks, yardstick)]
        for number in range(ROUNDS)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    return ours / theirs


def test_nothing_to_do(tmp_path):
    assert beside_yardstick(a_list(tmp_path, everything=False)) < NOTHING


def test_everything_on(tmp_path):
    assert beside_yardstick(a_list(tmp_path)) < EVERYTHING


def test_everything_on_with_values_of_the_backend(tmp_path):
    assert beside_yardstick(a_list(tmp_path), make_fresh_logs()) < FRESH


def test_twice_the_cost_is_caught(tmp_path):
    one, other = (a_list(tmp_path / str(number)) for number in range(2))
    assert beside_yardstick(Twice(one, other)) > EVERYTHING


def test_the_last_batches_cost_what_the_first_cost(tmp_path):
    """A hundred thousand batches on, by the shortest of a few rounds."""
    hooks = a_list(tmp_path)
    rounds = [seconds(hooks, floats, number * BATCHES) for number in range(350)]
    assert min(rounds[-30:]) < 1.5 * min(rounds[:30])
