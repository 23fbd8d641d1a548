"""The cost in `fit()` of recording the per-batch loss, and of decisions on it.

The model is tiny. All kinds train the same model in turn, from compiled lists. The time of an epoch
runs from the end of `on_epoch_begin` to the beginning of `on_epoch_end`, with the pending work of
its batches. Keras does not record this loss: the baseline is the same fit without callbacks.
"""

import os

import keras
import numpy as np
import pytest
from conftest import note
from full_set import tiny_model
from test_fit import EpochBegins, EpochEnds

from fitwatch import callbacks

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "100"))
JAX = keras.config.backend() == "jax"


def stopping():
    return callbacks.EarlyStopping("loss", unit="batch", patience=10**9, halflife=100)


def plateau():
    return callbacks.ReduceLROnPlateau("loss", unit="batch", patience=10**9, halflife=100)


KINDS = {
    "without": list,
    "(noise: without callbacks, twice)": list,
    'LossHistory(loss="running")': lambda: [callbacks.LossHistory(loss="running")],
    "LossHistory()": lambda: [callbacks.LossHistory()],
    "LossHistory(), EarlyStopping and ReduceLROnPlateau in batches": lambda: [
        callbacks.LossHistory(),
        stopping(),
        plateau(),
    ],
}


@pytest.mark.parametrize("steps", [1] if keras.config.backend() == "torch" else [1, 32])
def test_own_losses(steps):
    model = tiny_model()
    model.compile("sgd", "mse", metrics=["mae"], steps_per_execution=steps)
    batches = (512 if JAX else 128) * (1 if steps == 1 else 4)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batches * 8, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    times = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS + 1):
        kinds = list(KINDS) if round_ % 2 else list(KINDS)[::-1]
        for kind in kinds:
            begins, ends = EpochBegins(), EpochEnds()
            callback_list = callbacks.CallbackList(
                [ends, *KINDS[kind](), begins], add_history=True, model=model
            )
            model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=callback_list)
            if round_:  # the first one compiles
                times[kind].append(ends.time - begins.time)
    floor = [each / batches for each in times.pop("without")]
    ratios = {
        kind: note(
            "losses",
            kind if steps == 1 else f"{kind}, steps_per_execution={steps}",
            [each / batches for each in seconds],
            floor,
            beside="the same fit without callbacks",
        )
        for kind, seconds in times.items()
    }
    assert ratios["LossHistory()"] < 1.3
