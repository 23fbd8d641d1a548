"""Trains on handwritten digits and draws the plot that README shows.

Usage: python examples/digits.py [PICTURE]
"""

import sys

import keras
from sklearn.datasets import load_digits

import fitwatch
from fitwatch import callbacks

fitwatch.enable()
keras.utils.set_random_seed(1)
x, y = load_digits(return_X_y=True)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
losses = callbacks.LossHistory(plot=sys.argv[1] if len(sys.argv) > 1 else "loss.png")
model.fit(
    x,
    y,
    batch_size=16,
    validation_split=0.2,
    epochs=100,
    callbacks=[
        callbacks.EarlyStopping(patience=6, restore_best_weights=True, verbose=1),
        callbacks.ReduceLROnPlateau(factor=0.5, patience=3, verbose=1),
        losses,
    ],
)
print(f"{len(losses.losses):,} batches, the last one with a loss of {losses.losses[-1]:.3f}")
