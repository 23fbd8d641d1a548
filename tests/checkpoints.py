"""Checkpoints of tests, and a model that cannot be saved."""

import os

import keras

from fitwatch.callbacks import ModelCheckpoint


def checkpoint(path, **options):
    return ModelCheckpoint(path, save_weights_only=str(path).endswith(".weights.h5"), **options)


def files(folder):
    return sorted(os.listdir(folder))


def number_in(path, model):
    """The first number of the model in a file; `model` is one of the same kind."""
    if str(path).endswith(".weights.h5"):
        model.load_weights(path)
    else:
        model = keras.models.load_model(path)
    return model.get_weights()[0].item(0)


class Fails(keras.Model):
    """A model that writes half a file, and fails."""

    def save(self, path, overwrite=True):
        with open(path, "w") as file:
            file.write("half")
        raise OSError(28, "No space left on device")


def fails(make_model):
    model = make_model()
    model.__class__ = type("Fails", (type(model),), {"save": Fails.save})
    return model
