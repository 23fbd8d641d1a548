"""The cost of a batch in the hooks of a callback list, without training.

Every batch has fresh scalars of the backend, made before the clock starts. The time to free them is
not counted, neither for Keras nor for fitwatch; fitwatch's pending work at the end of the epoch is.
The asserted ratio is generous.
"""

import contextlib
import io
import time

import keras
import pytest
from conftest import note
from full_set import full_set, make_fresh_logs, rows_of_batches, tiny_model

from fitwatch import callbacks

BLOCK = 500


def nothing(module, folder):
    return []


def python_callback(module, folder):
    class Reads(keras.callbacks.Callback):
        """A user's own callback, which looks at the loss in one batch of a hundred."""

        def on_train_batch_end(self, batch, logs=None):
            if batch % 100 == 0:
                self.loss = logs["loss"]

    return [Reads()]


CASES = [
    pytest.param(full_set, True, 0.1, id="everything on, with progress bar"),
    pytest.param(
        rows_of_batches, False, 0.5, id='CSVLogger(update_freq="batch") (stock: csv.DictWriter)'
    ),
    pytest.param(nothing, False, 1.0, id="nothing to do"),
    pytest.param(python_callback, False, 1.0, id="a callback that reads one batch in a hundred"),
]


@pytest.mark.parametrize(("make", "progress", "at_most"), CASES)
def test_a_batch(make, progress, at_most, beside_keras, tmp_path, monkeypatch):
    model = tiny_model()
    fresh = make_fresh_logs()
    lists = [
        module.CallbackList(
            make(module, tmp_path),
            add_history=True,
            add_progbar=progress,
            model=model,
            verbose=1,
            epochs=1,
            steps=10**6,
        )
        for module in (callbacks, keras.callbacks)
    ]

    def block(callback_list):
        begin, end = callback_list.on_train_batch_begin, callback_list.on_train_batch_end
        logs = [fresh() for _ in range(BLOCK)]
        numbers = range(1, BLOCK + 1)
        started = time.perf_counter()
        for batch, values in zip(numbers, logs, strict=True):
            begin(batch)
            end(batch, values)
        if callback_list is lists[0]:
            callback_list._recorder.drain()
        else:
            callback_list._flush_futures()
        return time.perf_counter() - started

    def batches(callback_list):
        # More batches than for Keras, which is slower, so that work that depends on time (drawing
        # the bar, flushing a file) does not come with every few batches.
        blocks = 4 if callback_list is lists[0] else 1
        return sum(block(callback_list) for _ in range(blocks)) / blocks

    with contextlib.redirect_stdout(io.StringIO()):
        for callback_list in lists:
            callback_list.on_train_begin()
            callback_list.on_epoch_begin(0)
        ratio = beside_keras(lambda: batches(lists[0]), lambda: batches(lists[1]), BLOCK, "list")
        for callback_list in reversed(lists):
            callback_list.on_train_end({})
    assert ratio < at_most


def test_reading_a_scalar(benchmark):
    """The cost of reading one value in the backend itself: the minimum for any reader."""
    fresh = make_fresh_logs()
    read = memoryview if keras.config.backend() == "tensorflow" else float

    def measure():
        scalars = [fresh()["loss"] for _ in range(BLOCK)]
        started = time.perf_counter()
        for scalar in scalars:
            read(scalar)
        return time.perf_counter() - started

    note("list", "(the backend itself: reading one scalar)", [measure() / BLOCK for _ in range(15)])
    benchmark.pedantic(measure, rounds=15)
