"""What tests of health monitors train."""

import csv
import functools
import time

import keras
import numpy as np

from fitwatch import callbacks

BACKEND = keras.config.backend()
LISTS = {"compiled": callbacks.CallbackList, "stock": keras.callbacks.CallbackList}
SAMPLES, SIZE = 100, 8
STEPS = 13  # the last batch has 4 samples
SECONDS = 0.02


def compares_times(test):
    """A test that compares times may fail twice: other programs stall a machine now and then."""

    @functools.wraps(test)
    def attempts(**arguments):
        for _ in range(2):
            try:
                return test(**arguments)
            except AssertionError:
                pass
        return test(**arguments)

    return attempts


def model(**options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", **options)
    return model


def arrays():
    x = np.random.default_rng(0).normal(size=(SAMPLES, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


class SlowBatches:
    """A slow generator.

    Attributes:
        took: How long it has slept.
    """

    def __init__(self, seconds=SECONDS):
        self.seconds = seconds
        self.took = 0.0

    def batches(self):
        x, y = arrays()
        while True:
            began = time.perf_counter()
            time.sleep(self.seconds)
            self.took += time.perf_counter() - began
            yield x[:SIZE], y[:SIZE]


def fit(model, watching, *, kind="compiled", epochs=2, data=None, verbose=0, **options):
    """A `fit()` with a list of one kind."""
    data = {"x": data, "steps_per_epoch": STEPS} if data is not None else _of_arrays()
    callback_list = LISTS[kind](
        watching,
        model=model,
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=epochs,
        steps=STEPS,
    )
    history = model.fit(**data, epochs=epochs, callbacks=callback_list, shuffle=False, **options)
    return history.history


def _of_arrays():
    x, y = arrays()
    return {"x": x, "y": y, "batch_size": SIZE}


def rows(path):
    """The rows of a CSV file, as dicts."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
