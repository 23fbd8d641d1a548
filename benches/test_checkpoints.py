"""How long training stands still while a model is saved: in the foreground, and in the background.

The model has 100 MB of weights; both kinds save it in turn. Measured are the time of the hook at
the end of the epoch, and the share of the interpreter's time that the writing thread takes: how
much slower a loop of plain Python runs meanwhile.
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
    """Rounds per second of a loop of plain Python, until `ends()` is true."""
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
    """The speed of other code while the thread writes, as a share, and the seconds it takes."""
    began = time.perf_counter()
    background = saver._fitwatch.saver.background
    thread = background._save
    busy = loop(lambda: not thread.is_alive())
    took = time.perf_counter() - began
    background.finish()
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
    # The first save allocates the memory that the others reuse.
    background, foreground = zip(*stalls[1:], strict=True)
    what = f"`.{ending}`, in the background"
    ratio = note("saves", what, background, foreground, beside="fitwatch, in the foreground")
    note("saves", f"{what}: until the file is written", written)
    note("saves", f"{what}: share of the interpreter's time meanwhile", lost, unit="%")
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
