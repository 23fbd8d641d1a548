"""A training that a signal ends at some moment, and that is resumed."""

import json
import math
import os
import signal

import keras
import numpy as np

from fitwatch import callbacks

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
EPOCHS = 3


class Noise(keras.layers.Layer):
    """Draws random numbers also in evaluations."""

    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + 0.01 * keras.random.normal(keras.ops.shape(x), seed=self.seed)


class Moments(keras.callbacks.Callback):
    """Sends a signal when a hook is called, by its name and number."""

    def __init__(self, at=None, number=signal.SIGTERM):
        super().__init__()
        self.at = at
        self.number = number
        self.seen = []
        self.trained = []
        self.epoch = self.validations = 0
        # The number of a validation in which it sends the signal too.
        self.stop_in = None

    def _reached(self, *moment):
        self.seen.append(moment)
        if moment == self.at:
            signal.raise_signal(self.number)

    def on_train_begin(self, logs=None):
        self._reached("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self._reached("epoch", epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.trained.append((self.epoch, batch))
        self._reached("batch", self.epoch, batch)

    def on_test_begin(self, logs=None):
        self.validations += 1

    def on_test_batch_begin(self, batch, logs=None):
        self._reached("validation", self.epoch, batch)
        if self.validations == self.stop_in and batch == 1:
            signal.raise_signal(self.number)

    def on_epoch_end(self, epoch, logs=None):
        self._reached("epoch end", epoch)

    def on_train_end(self, logs=None):
        self._reached("end")


class Store:
    """An action of BlockLogger: values by kind, name and step, in a file."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "blocks.json")
        self.values = {}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.values = json.load(file)

    def __call__(self, block):
        for name in block.columns:
            for step, value in zip(block["step"], block[name].tolist(), strict=True):
                if not math.isnan(value):
                    self.values[f"{block.kind} {name} {step}"] = value
        with open(self.path, "w") as file:
            json.dump(self.values, file)


class Training:
    """One process's part of a training.

    Args:
        folder: Has its files, and the backup.
        options: Of BackupAndRestore.
    """

    def __init__(self, folder, *extra, **options):
        keras.utils.set_random_seed(7)
        inner = [keras.layers.Dense(4), keras.layers.Dropout(0.3), Noise(), keras.layers.Dense(1)]
        self.model = keras.Sequential([keras.Input((3,)), *inner])
        self.model.compile("adam", "mse", metrics=["mae"])
        self.folder = folder
        self.losses = callbacks.LossHistory()
        self.store = Store(folder)
        self.stopping = callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
        options = {"exact": True, "save_before_preemption": True, **options}
        self.callbacks = [
            callbacks.BackupAndRestore(os.path.join(folder, "backup"), **options),
            callbacks.CSVLogger(os.path.join(folder, "log.csv"), update_freq="batch"),
            self.losses,
            callbacks.BlockLogger(self.store, every=7),
            callbacks.ModelCheckpoint(
                os.path.join(folder, "best.weights.h5"),
                save_best_only=True,
                save_weights_only=True,
                save_on_background=True,
            ),
            callbacks.ReduceLROnPlateau("val_loss", patience=0, min_delta=10),
            self.stopping,
            *extra,
        ]

    def fit(self, **options):
        """Trains, and gives all that it has led to."""
        arguments = {"batch_size": 4, "epochs": EPOCHS, "verbose": 0, **options}
        arguments.setdefault("validation_data", (X[:20], Y[:20]))
        history = self.model.fit(X, Y, callbacks=self.callbacks, **arguments)
        weights = [weights.tolist() for weights in self.model.get_weights()]
        self.model.load_weights(os.path.join(self.folder, "best.weights.h5"))
        with open(os.path.join(self.folder, "log.csv")) as file:
            rows = file.read()
        return {
            "weights": weights,
            "best": [weights.tolist() for weights in self.model.get_weights()],
            "history": history.history,
            "losses": self.losses.losses.tolist(),
            "rows": rows,
            "blocks": self.store.values,
            "stopped": self.stopping.stopped_epoch,
            "wait": self.stopping.wait,
            "rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "files": sorted(os.listdir(self.folder)),
        }
