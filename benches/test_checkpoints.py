"""How long training stands still while a model is saved: in the foreground, and in the background.

A model of 100 MB of weights; both kinds save the same one in turn. What counts is the end of the
epoch as `fit()` sees it (the hook), and what the thread takes from the training meanwhile: how much
less a loop of plain Python gets done.
"""

import os
import time

import keras
import numpy as np
import pytest
from conftest import note, seconds

from fitwatch.callbacks import ModelCheckpoint

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "11"))
MEGABYTES = 100


def large_model():
    width = int((MEGABYTES * 1e6 / 4 / 4) ** 0.5)
    layers = [keras.layers.Dense(width, use_bias=False) for _ in range(4)]
    model = keras.Sequential([keras.Input((width,)), *layers])
    model.compile("sgd", "mse")
    return model


def loop(ends):
    """How often a loop of plain Python goes round in a second, until something is the case."""
    begin, rounds = time.perf_counter(), 0
    while not ends():
        for _ in range(1000):
            rounds += 1
    return rounds / (time.perf_counter() - begin)


def save(saver, epoch):
    """Seconds that the end of an epoch takes."""
    saver.on_epoch_begin(epoch)
    return seconds(lambda: saver.on_epoch_end(epoch, {}))


def watch(saver):
    """What is left for others while the thread writes, as a share, and the seconds it takes."""
    began = time.perf_counter()
    busy = loop(lambda: not saver._fitwatch.saver.background.is_busy)
    took = time.perf_counter() - began
    saver._fitwatch.saver.background.settle()
    until = time.perf_counter() + 0.2
    return busy / loop(lambda: time.perf_counter() > until), took


@pytest.mark.parametrize("ending", ["weights.h5", "keras"])
def test_training_stands_still(tmp_path, ending):
    model = large_model()
    made = {
        background: ModelCheckpoint(
            tmp_path / f"{background}.{ending}",
            save_weights_only=ending == "weights.h5",
            save_on_background=background,
        )
        for background in (False, True)
    }
    for saver in made.values():
        saver.set_model(model)
        saver.on_train_begin()
    stalls, lost, written = [], [], []
    for epoch in range(ROUNDS + 1):
        times = {}
        for background in (False, True) if epoch % 2 else (True, False):
            times[background] = save(made[background], epoch)
            if background:
                busy, took = watch(made[background])
                written.append(took)
                lost.append(1 - busy)
        stalls.append((times[True], times[False]))
    # The first save gets the memory that the others use again.
    background, foreground = zip(*stalls[1:], strict=True)
    what = f"`.{ending}`, in the background"
    ratio = note("saves", what, background, foreground, beside="fitwatch, in the foreground")
    note("saves", f"{what}: the file is there", written)
    note("saves", f"{what}: of the interpreter's time meanwhile", lost, unit="%")
    for saver in made.values():
        saver.on_train_end()
    for one, two in zip(*(weights(saver.filepath) for saver in made.values()), strict=True):
        np.testing.assert_array_equal(one, two)
    assert ratio < 0.5


def weights(path):
    if path.endswith(".keras"):
        return keras.models.load_model(path).get_weights()
    model = large_model()
    model.load_weights(path)
    return model.get_weights()
