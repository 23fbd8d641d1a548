"""The cost of a batch of `fit()`, with everything on and with nothing on.

The model is tiny, so that its step is short and the cost of the callbacks is visible. The baseline
is `fit()` with a callback list whose batch hooks do nothing. All kinds of list train the same model
in turn, in many short epochs. The time of an epoch runs from the end of `on_epoch_begin` to the
beginning of `on_epoch_end`, with the pending work of its batches. Work that is done once in an
epoch or a fit (opening and writing files, decisions) is shown separately.
"""

import contextlib
import io
import os
import time

import keras
import numpy as np
from conftest import note
from full_set import full_set, tiny_model

from fitwatch import callbacks

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "100"))
# On TensorFlow a step takes ten times as long.
BATCHES = 500 if keras.config.backend() == "jax" else 100


class Floor(keras.callbacks.CallbackList):
    """Batch hooks that do nothing."""

    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_train_batch_end(self, batch, logs=None):
        pass


class EpochBegins(keras.callbacks.Callback):
    """Comes last in the list."""

    async_safe = True

    def on_epoch_begin(self, epoch, logs=None):
        self.time = time.perf_counter()


class EpochEnds(EpochBegins):
    """Comes first."""

    def on_epoch_begin(self, epoch, logs=None):
        pass

    def on_epoch_end(self, epoch, logs=None):
        self.time = time.perf_counter()


def stock(made, **options):
    return keras.callbacks.CallbackList(made, **options)


def fitwatch_list(made, **options):
    return callbacks.CallbackList(made, **options)


def floor(made, **options):
    return Floor(made, **options)


KINDS = {
    "a list that does nothing": (floor, None, False),
    "(noise: a list that does nothing, twice)": (floor, None, False),
    "fitwatch, nothing on": (fitwatch_list, None, False),
    "fitwatch, everything on": (fitwatch_list, callbacks, True),
    "stock Keras, nothing on": (stock, None, False),
    "stock Keras, everything on": (stock, keras.callbacks, True),
}
COMPARED = [
    ("fitwatch, everything on", "stock Keras, everything on"),
    ("fitwatch, everything on", "stock Keras, nothing on"),
    ("fitwatch, everything on", "a list that does nothing"),
    ("fitwatch, nothing on", "stock Keras, nothing on"),
    ("(noise: a list that does nothing, twice)", "a list that does nothing"),
]


def test_fit(tmp_path):
    model = tiny_model()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCHES * 8, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    batch_loops = {kind: [] for kind in KINDS}
    fits = {kind: {} for kind in KINDS}
    for round_ in range(ROUNDS + 1):
        for kind, (make_list, module, progress) in KINDS.items():
            if kind == "stock Keras, everything on" and round_ % 5:
                continue  # it takes as long as all other kinds together
            begins, ends = EpochBegins(), EpochEnds()
            made = full_set(module, tmp_path) if module else []
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                callback_list = make_list(
                    [ends, *made, begins],
                    add_history=True,
                    add_progbar=progress,
                    model=model,
                    verbose=1,
                    epochs=1,
                    steps=BATCHES,
                )
                model.fit(x, y, batch_size=8, shuffle=False, callbacks=callback_list)
            if round_:  # the first one compiles
                fits[kind][round_] = time.perf_counter() - started
                batch_loops[kind].append((round_, ends.time - begins.time))

    def beside(ours, theirs):
        """For the rounds that both have: seconds per batch, and seconds of a fit around them."""
        mine, others = dict(batch_loops[ours]), dict(batch_loops[theirs])
        rounds = [round_ for round_ in mine if round_ in others]
        loops = [[each[round_] / BATCHES for round_ in rounds] for each in (mine, others)]
        around = [
            [fits[kind][round_] - dict(batch_loops[kind])[round_] for round_ in rounds]
            for kind in (ours, theirs)
        ]
        return loops, around

    ratios = {}
    for ours, theirs in COMPARED:
        loops, _ = beside(ours, theirs)
        ratios[ours, theirs] = note("fit", ours, *loops, beside=theirs)
    _, around = beside("fitwatch, everything on", "stock Keras, everything on")
    note("fit", "fit() of one epoch without its batches, everything on", *around)
    assert ratios["fitwatch, everything on", "a list that does nothing"] < 1.5
    assert ratios["fitwatch, everything on", "stock Keras, everything on"] < 1
