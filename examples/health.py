"""Watches the gradients of a convolutional network on handwritten digits; one batch is bad.

`python examples/health.py [picture]`. Needs scikit-learn and matplotlib.
"""

import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

from fitwatch import callbacks

keras.utils.set_random_seed(1)
digits = load_digits()
x, y = (digits.images[..., None] / 16).astype("float32"), digits.target.copy()
BATCH, BAD = 32, 40
y[BATCH * BAD : BATCH * (BAD + 1)] = (y[BATCH * BAD : BATCH * (BAD + 1)] + 1) % 10

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")

history = callbacks.LossHistory(columns="all")
gradients = callbacks.GradientMonitor(update_ratio=True)
model.fit(
    x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=2, callbacks=[gradients, history]
)

names = ["loss", "grad_norm", "update_ratio"]
print({name: float(np.nanmax(history.column(name))) for name in names})
if len(sys.argv) > 1:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, sharex=True, figsize=(8, 6), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        axis.plot(history.column(name), linewidth=1)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("Batch")
    figure.savefig(sys.argv[1], dpi=120)
