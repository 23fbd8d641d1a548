"""A validation inside an epoch, beside a bare loop over the same batches.

The loop resets the metrics, calls the compiled test step for every batch, and reads the metrics.
Both run in turn, inside one `fit()`, after a first validation that has made the data pipeline and
compiled the step.
"""

import keras
import numpy as np
import pytest
from conftest import ROUNDS, note, seconds

from fitwatch import callbacks

BACKEND = keras.config.backend()
SIZE = 32


def bare(model):
    """Evaluates the model without callbacks, in the simplest way that the backend has."""
    iterator = model._eval_epoch_iterator
    iterator.reset()
    model.reset_metrics()
    with iterator.catch_stop_iteration():
        if BACKEND == "jax":
            names = ("trainable_variables", "non_trainable_variables", "metrics_variables")
            state = model._get_jax_state(**dict.fromkeys(names, True))
            for _, _, batches in iterator:
                _, state = model.test_function(state, batches)
            for name, values in zip(names, state, strict=True):
                for variable, value in zip(getattr(model, name), values, strict=True):
                    variable.assign(value)
        else:
            for _, _, batches in iterator:
                model.test_function(batches)
    return {name: float(value) for name, value in model.get_metrics_result().items()}


class Compares(keras.callbacks.Callback):
    """Runs both in turn after the first validation."""

    def __init__(self, validation):
        super().__init__()
        self.validation = validation
        self.ours, self.theirs = [], []

    def on_validation_end(self, batch, logs):
        own = self.validation._fitwatch
        for _ in range(ROUNDS):
            self.ours.append(seconds(lambda: drop(own._evaluation.run(own.callback_list))))
            self.theirs.append(seconds(lambda: drop(bare(self.model))))
        self.model.stop_training = True


def drop(result):
    """Nothing: what `seconds` gets is its own measurement."""
    assert result["loss"] >= 0


@pytest.mark.parametrize("batches", [32, 256])
def test_a_validation(batches, benchmark):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(batches * SIZE, 64)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(1)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    validation = callbacks.Validation(every=4)
    compares = Compares(validation)
    watching = callbacks.CallbackList(
        [callbacks.LossHistory(), validation, compares],
        add_history=True,
        model=model,
        epochs=1,
        verbose=0,
    )
    data = {"x": x, "y": y, "validation_data": (x, y), "callbacks": watching}
    benchmark.pedantic(lambda: model.fit(**data, batch_size=SIZE, epochs=1), rounds=1)
    what = f"{batches} batches of {SIZE}"
    ratio = note("validation", what, compares.ours, compares.theirs, beside="a bare loop")
    assert ratio < 1.5
