"""The set of callbacks that the benchmarks call "everything on", of fitwatch or of Keras."""

import csv

import keras
import numpy as np

from fitwatch import callbacks


class ListOfLosses(keras.callbacks.Callback):
    """The usual hand-written callback, because Keras has no LossHistory."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


class RowsOfBatches(keras.callbacks.Callback):
    """The usual hand-written callback, because Keras's CSVLogger writes epochs only."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self.file = open(self.path, "w", newline="")  # noqa: SIM115 (closed at the end)
        self.writer = csv.DictWriter(self.file, ["epoch", "batch", "loss", "mae"])
        self.writer.writeheader()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.writer.writerow({"epoch": self.epoch, "batch": batch, **logs})

    def on_train_end(self, logs=None):
        self.file.close()


def rows_of_batches(module, folder):
    if module is callbacks:
        return [callbacks.CSVLogger(folder / "ours.csv", update_freq="batch")]
    return [RowsOfBatches(folder / "stock.csv")]


def full_set(module, folder):
    """All callbacks, set up so that they never save a model and never reduce the rate."""
    never = float("-inf")
    return [
        module.EarlyStopping("loss", patience=10**9),
        module.ReduceLROnPlateau("loss", patience=10**9),
        module.CSVLogger(folder / f"{module.__name__}.csv"),
        module.ModelCheckpoint(
            folder / "x.keras", "loss", save_best_only=True, initial_value_threshold=never
        ),
        module.TensorBoard(folder / module.__name__, update_freq="batch", write_graph=False),
        module.TerminateOnNaN(),
        callbacks.LossHistory() if module is callbacks else ListOfLosses(),
    ]


def tiny_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def make_fresh_logs():
    """A function that makes the logs of a batch as this backend's training step does."""
    if keras.config.backend() == "jax":
        import jax

        step = jax.jit(lambda x: {"loss": x * 2, "mae": x + 1})
        return lambda: jax.block_until_ready(step(np.float32(0.25)))
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda x: {"loss": x * 2, "mae": x + 1})
        value = tf.constant(0.25)
        return lambda: step(value)
    return lambda: {name: keras.ops.convert_to_tensor(0.25) * 1 for name in ("loss", "mae")}
