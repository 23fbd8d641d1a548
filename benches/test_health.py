"""The cost in `fit()` of health monitors, beside the same fit with LossHistory.

The model is a small convolutional one, on real handwritten digits. All kinds train the same model
in turn, from compiled lists. The time of an epoch is taken as in `test_batch_loss.py`.
"""

import os

import keras
from conftest import note
from sklearn.datasets import load_digits
from test_fit import EpochBegins, EpochEnds

from fitwatch import callbacks

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "60"))

KINDS = {
    "without": list,
    "(noise: without a monitor, twice)": list,
    "GradientMonitor()": lambda: [callbacks.GradientMonitor()],
    "GradientMonitor(every=10)": lambda: [callbacks.GradientMonitor(every=10)],
    "GradientMonitor(clipped=True, per_layer=True, update_ratio=True)": lambda: [
        callbacks.GradientMonitor(clipped=True, per_layer=True, update_ratio=True)
    ],
    "LearningRateMonitor()": lambda: [callbacks.LearningRateMonitor()],
}


def convolutional():
    layers = [
        keras.layers.Conv2D(32, 3, activation="relu", padding="same"),
        keras.layers.Conv2D(64, 3, activation="relu", padding="same"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(128, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_health_monitors():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    model = convolutional()
    batches = -(-len(x) // 32)
    times = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS + 1):
        for kind in list(KINDS) if round_ % 2 else list(KINDS)[::-1]:
            begins, ends = EpochBegins(), EpochEnds()
            watching = [ends, callbacks.LossHistory(), *KINDS[kind](), begins]
            callback_list = callbacks.CallbackList(watching, add_history=True, model=model)
            model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=callback_list)
            if round_:  # the first one compiles
                times[kind].append((ends.time - begins.time) / batches)
    floor = times.pop("without")
    ratios = {
        kind: note("health", kind, seconds, floor, beside="the same fit with LossHistory")
        for kind, seconds in times.items()
    }
    assert ratios["GradientMonitor()"] < 1.1
