"""Trains three optimizers on handwritten digits, and writes every batch for TensorBoard.

`python examples/every_batch.py logs`, then `tensorboard --logdir logs` or `python -m fitwatch view
logs`. Needs scikit-learn.
"""

import sys

import keras
from sklearn.datasets import load_digits

import fitwatch
from fitwatch import callbacks

BATCH, EPOCHS = 4, 40
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")

fitwatch.enable()
for name, optimizer in {
    "adam": keras.optimizers.Adam(1e-3),
    "lion": keras.optimizers.Lion(2e-4),
    "sgd": keras.optimizers.SGD(0.05),
}.items():
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    watching = [
        callbacks.GradientMonitor(),
        callbacks.ReduceLROnPlateau(patience=8, factor=0.5),
        callbacks.TensorBoard(
            f"{sys.argv[1]}/{name}", update_freq="batch", loss="batch", write_events=True
        ),
    ]
    model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, validation_split=0.2, verbose=2, callbacks=watching
    )
