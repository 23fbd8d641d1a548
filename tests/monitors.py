"""One monitor of each kind, and how to feed it by hand."""

import copy
import pickle

import pytest

from fitwatch import callbacks

MAKERS = {
    "EarlyStopping": lambda **options: callbacks.EarlyStopping(monitor="loss", **options),
    "ReduceLROnPlateau": lambda **options: callbacks.ReduceLROnPlateau(monitor="loss", **options),
    "ModelCheckpoint": lambda **options: callbacks.ModelCheckpoint(
        "best.keras", monitor="loss", save_best_only=True, **options
    ),
}

each_monitor = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)

each_copy = pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda callback: pickle.loads(pickle.dumps(callback))],
    ids=["copy", "deepcopy", "pickle"],
)


def begun(callback, model):
    callback.set_model(model)
    callback.on_train_begin()
    return callback


def feed(callback, *values, first=0):
    for epoch, value in enumerate(values, first):
        callback.on_epoch_end(epoch, {"loss": value})
