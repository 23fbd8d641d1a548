"""The per-batch loss, computed slowly: `train_on_batch` after `reset_metrics()`."""

import keras
import numpy as np

from fitwatch.callbacks import CallbackList, LossHistory

BACKEND = keras.config.backend()
STEPS = [1] if BACKEND == "torch" else [1, 8, 32]


def dense(**options):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "tanh", kernel_regularizer=options.pop("regularizer", None))
    outputs = keras.layers.Dense(1)(hidden(inputs))
    return compiled(keras.Model(inputs, outputs), **options)


def compiled(model, **options):
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **options})
    return model


def numbers(count=100):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def one_by_one(model, batches):
    losses = []
    for batch in batches:
        model.reset_metrics()
        losses.append(float(model.train_on_batch(*batch, return_dict=True)["loss"]))
    return np.array(losses, dtype=np.float32)


def cut(arrays, size):
    """Batches of some arrays, or of dicts and lists of arrays, as `fit` makes them."""
    count = len(keras.tree.flatten(arrays)[0])
    for start in range(0, count, size):
        yield keras.tree.map_structure(lambda a, s=start: a[s : s + size], arrays)


def recorded(model, arrays, size, *, compiled_list=True, epochs=2, history=None):
    """What `LossHistory` records in a fit over batches in order."""
    history = history or LossHistory()
    callbacks = [history]
    if compiled_list:
        callbacks = CallbackList(callbacks, add_history=True, model=model, epochs=epochs)
    x, y, *weight = arrays
    model.fit(
        x,
        y,
        sample_weight=weight[0] if weight else None,
        batch_size=size,
        shuffle=False,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
    )
    return history


def assert_same(losses, reference, ulps=1):
    """Equal except for the last digit."""
    losses, reference = np.asarray(losses), np.asarray(reference)
    assert losses.shape == reference.shape
    off = np.abs(losses - reference) / np.spacing(np.abs(reference).astype("float32"))
    assert off.max() <= ulps, (off.max(), losses, reference)
