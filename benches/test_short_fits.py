"""The time of a whole short `fit()`, which tuners and reinforcement learning call very often.

Each round makes its callbacks and their list, trains a tiny model for one epoch, and closes the
files. `test_fit.py` shows the same without the batches.
"""

import contextlib
import io

import keras
import numpy as np
import pytest
from full_set import full_set, tiny_model

from fitwatch import callbacks

CASES = [
    pytest.param(batches, everything, id=f"{length}, {what} on")
    for length, batches in [("1 batch", 1), ("10 batches", 10), ("100 batches", 100)]
    for what, everything in [("everything", True), ("nothing", False)]
]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize(("batches", "everything"), CASES)
def test_a_short_fit(batches, everything, model, beside_keras, tmp_path):
    x = np.random.default_rng(0).normal(size=(8 * batches, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)

    def fit(module):
        callback_list = module.CallbackList(
            full_set(module, tmp_path) if everything else [],
            add_history=True,
            add_progbar=everything,
            model=model,
            verbose=1,
            epochs=1,
            steps=batches,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            model.fit(x, y, batch_size=8, shuffle=False, callbacks=callback_list)

    ratio = beside_keras(lambda: fit(callbacks), lambda: fit(keras.callbacks), 1, "short")
    assert ratio < 1.5
