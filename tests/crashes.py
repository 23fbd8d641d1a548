"""Runs that end as in a crash, and the files they leave."""

import json

import keras
import pytest


class Crashes(keras.callbacks.Callback):
    """Ends the run after a number of batches, as a crash would."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise InterruptedError


class Stops(keras.callbacks.Callback):
    """Ends the run as a crash would: with an exception, at the beginning of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise InterruptedError


def crash(model, data, *callbacks, at=2, **options):
    with pytest.raises(InterruptedError):
        model.fit(*data, epochs=4, verbose=0, callbacks=[*callbacks, Stops(at)], **options)


def metadata(folder):
    return json.loads((folder / "training_metadata.json").read_text())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
