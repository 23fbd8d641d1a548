"""On TensorFlow, the columns and the logs of a batch leave a compiled step in one array."""

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, numbers

from fitwatch._engine.step_kinds import KEY
from fitwatch.callbacks import CallbackList, LossHistory

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")

X, Y = numbers(60)


def model(cls=keras.Model, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    made = cls(inputs, keras.layers.Dense(1)(inputs))
    made.compile(**{"optimizer": "sgd", "loss": "mse", "metrics": ["mae"], **options})
    return made


class Seen(keras.callbacks.Callback):
    """The logs of all batches."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))


def fit(trained, callbacks, compiled=True, epochs=2):
    if compiled:
        callbacks = CallbackList(callbacks, add_history=True, model=trained, epochs=epochs)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    return trained.fit(X, Y, epochs=epochs, **options).history


def rows(trained):
    """The names in the arrays of the model's last fit: one list for each trace."""
    route = trained.train_function._fitwatch_steps._routes.popitem()[1]
    return [columns for columns, _ in route._arrays.values()]


class Named(keras.Model):
    """Logs another name for a short batch."""

    def train_step(self, data):
        logs = super().train_step(data)
        if data[0].shape[0] == 4:
            logs = {"short": logs.pop("mae"), **logs}
        return logs


class Counts(keras.Model):
    """Logs a whole number."""

    def train_step(self, data):
        return {**super().train_step(data), "samples": keras.ops.shape(data[0])[0]}


class Vector(keras.Model):
    """Logs two numbers under one name."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {**logs, "both": keras.ops.stack([logs["loss"], logs["mae"]])}


class Nested(keras.Model):
    """Logs a dict in a dict."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {"loss": logs["loss"], "more": {"mae": logs["mae"]}}


class Numbered(keras.Model):
    """Logs a name that is not a string."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {1: logs["loss"], 2: logs["mae"]}


OPTIONS = {
    "plain": {},
    "without XLA": {"jit_compile": False},
    "several steps": {"steps_per_execution": 3},
    "eager": {"run_eagerly": True},
    "accumulation": {"optimizer": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2)},
    "loss scaling": {
        "optimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    },
}


def made(options):
    return {name: each() if callable(each) else each for name, each in options.items()}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_logs_and_weights_are_those_of_stock_keras(options, compiled):
    ours, theirs, history = Seen(), Seen(), LossHistory()
    stacked, plain = model(**made(options)), model(**made(options))
    logged = fit(stacked, [history, ours], compiled)
    assert logged == fit(plain, [theirs], compiled=False)
    assert ours.logs == theirs.logs
    for one, other in zip(stacked.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert history.kind == "batch"
    assert len(history.losses) == 16


def test_a_compiled_step_has_one_output():
    trained, history = model(), LossHistory(columns="all")
    outputs = []

    class Looks(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            outputs.extend(rows(self.model))

    fit(trained, [history, Looks()])
    assert outputs
    assert all(columns == ["loss", "mae"] for columns in outputs)
    assert KEY not in fit(trained, [])


@pytest.mark.parametrize("cls", [Named, Counts, Vector, Nested])
def test_logs_that_an_array_cannot_have_or_that_change(cls):
    ours, theirs, history, expected = Seen(), Seen(), LossHistory(), LossHistory()
    logged = fit(model(cls), [history, ours])
    assert str(logged) == str(fit(model(cls), [theirs], compiled=False))
    assert str(ours.logs) == str(theirs.logs)
    fit(model(), [expected])
    np.testing.assert_array_equal(history.losses, expected.losses)
    assert history.kind == "batch"


def test_names_that_are_no_strings():
    ours, theirs, history = Seen(), Seen(), LossHistory()
    with pytest.warns(UserWarning, match="logs whose names are no strings"):
        logged = fit(model(Numbered), [history, ours])
    assert logged == fit(model(Numbered), [theirs], compiled=False)
    assert ours.logs == theirs.logs
