"""On JAX, the values of many batches leave the train step in one array: a shift register."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, numbers
from scalars import LateScalar, late_reader

from fitwatch import _core
from fitwatch.callbacks import CallbackList, EarlyStopping, LossHistory, TerminateOnNaN

X, Y = numbers(60)


def model(cls=keras.Model, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    made = cls(inputs, keras.layers.Dense(1)(inputs))
    made.compile("sgd", **{"loss": "mse", "metrics": ["mae"], **options})
    return made


def fit(trained, callbacks, compiled=True, epochs=2, batch_size=8, **options):
    if compiled:
        callbacks = CallbackList(callbacks, add_history=True, model=trained, epochs=epochs)
    return trained.fit(
        X,
        Y,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **options,
    )


jax_only = pytest.mark.skipif(BACKEND != "jax", reason="about JAX")

TRACES = """
import keras, numpy as np
from fitwatch.callbacks import LossHistory
{devices}
traces = []
class Model(keras.Model):
    def train_step(self, state, data):
        traces.append(data[0].shape)
        return super().train_step(state, data)
inputs = keras.Input((4,))
model = Model(inputs, keras.layers.Dense(1)(inputs))
model.compile("sgd", "mse", metrics=["mae"])
x, y = np.zeros((60, 4), "float32"), np.zeros((60, 1), "float32")
history = LossHistory()
for _ in range(2):
    model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[history])
assert history.kind == "batch" and len(history.losses) == 24
route = model.train_function._fitwatch_steps._routes.popitem()[1]
assert route._tape is not None
compiled = route._compiled._cache_size()
print(len(traces), compiled)
"""

DATA_PARALLEL = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
keras.distribution.set_distribution(keras.distribution.DataParallel())
"""


@jax_only
@pytest.mark.parametrize("devices", ["", DATA_PARALLEL], ids=["one device", "two devices"])
def test_the_step_is_traced_and_compiled_once_for_each_shape(devices):
    code = TRACES.format(devices=devices)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # The last batch of an epoch has 4 samples.
    assert done.stdout.split()[-2:] == ["2", "2"]


class Named(keras.Model):
    """Logs another name for a short batch."""

    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        if data[0].shape[0] < 8:
            logs = {"short": logs.pop("mae"), **logs}
        return logs, state


class Counts(keras.Model):
    """Logs a whole number."""

    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        return {**logs, "samples": keras.ops.array(data[0].shape[0], "int32")}, state


class Nested(keras.Model):
    """Logs a dict in a dict."""

    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        return {"loss": logs["loss"], "more": {"mae": logs["mae"]}}, state


@jax_only
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("cls", [Named, Counts, Nested])
def test_logs_that_a_register_cannot_have(cls, steps):
    seen, plain = [], []
    history, expected = LossHistory(), LossHistory()
    by_hand = [
        keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, found=found: found.append(dict(logs))
        )
        for found in (seen, plain)
    ]
    trained = model(cls, steps_per_execution=steps)
    logged = fit(trained, [history, by_hand[0]]).history
    assert (
        fit(model(cls, steps_per_execution=steps), [by_hand[1]], compiled=False).history == logged
    )
    assert seen == plain
    fit(model(), [expected])
    np.testing.assert_array_equal(history.losses, expected.losses)
    assert history.kind == "batch"


class Numbered(keras.Model):
    """Logs names that are no strings."""

    def train_step(self, state, data):
        logs, state = super().train_step(state, data)
        return {1: logs["loss"], 2: logs["mae"]}, state


@jax_only
def test_names_that_are_no_strings():
    with pytest.warns(UserWarning, match="logs whose names are no strings"):
        logged = fit(model(Numbered), [LossHistory()]).history
    assert logged == fit(model(Numbered), [], compiled=False).history


class Fits(keras.callbacks.Callback):
    """Trains the same model for a batch, between two reads of the register."""

    def __init__(self, history):
        super().__init__()
        self.history = history

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 3:
            self.model.fit(X[:8], Y[:8], batch_size=8, verbose=0, callbacks=[self.history])


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
def test_a_fit_inside_a_fit_goes_on_with_the_register(compiled):
    inner, outer = LossHistory(), LossHistory()
    trained = model()
    fit(trained, [Fits(inner), outer], compiled, epochs=1)
    by_hand, expected = model(), []
    for batch in range(8):
        if batch == 3:
            by_hand.reset_metrics()
            within = by_hand.train_on_batch(X[:8], Y[:8], return_dict=True)["loss"]
        by_hand.reset_metrics()
        part = slice(8 * batch, 8 * batch + 8)
        expected.append(by_hand.train_on_batch(X[part], Y[part], return_dict=True)["loss"])
    np.testing.assert_allclose(outer.losses, expected, rtol=1e-6)
    np.testing.assert_allclose(inner.losses, [within], rtol=1e-6)


class Fails(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 5:
            raise ValueError("between two reads")


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
def test_what_was_trained_before_an_exception_is_there(compiled):
    history, expected = LossHistory(), LossHistory()
    with pytest.raises(ValueError, match="between two reads"):
        fit(model(), [history, Fails()], compiled)
    fit(model(), [expected])
    np.testing.assert_array_equal(history.losses, expected.losses[:5])
    fit(model(), [history], compiled)  # the next fit starts over
    np.testing.assert_array_equal(history.losses, expected.losses)


class Register:
    """A model whose step returns registers that are read late, with one column and one log."""

    train_function = print

    def __init__(self, rows=16):
        self.columns = _core.StepColumns(lambda: self, print)
        self.columns.function = self.train_function
        self.columns.name(["loss"], [1], 0)
        self.tape = _core.Tape(1, ["loss"], rows, "address float32")
        self.row = [0.0] * 2 * rows
        self.arrays = []

    def batch(self, loss):
        self.row = [*self.row[2:], loss, loss + 0.5]
        self.arrays.append(LateScalar(*self.row))
        return self.tape.push(self.columns, self.arrays[-1], True)


class FedList(CallbackList):
    """Reads late scalars; LossHistory takes the register's column."""

    def __init__(self, register, callbacks, **options):
        super().__init__(callbacks, **options)
        for callback in callbacks:
            if isinstance(callback, LossHistory):
                callback._fitwatch.steps.columns = register.columns

    def _reader(self):
        return late_reader()


@pytest.mark.parametrize(
    ("others", "max_lag", "every"),
    [([], 16, 16), ([TerminateOnNaN], 16, 8), ([TerminateOnNaN], 0, 1)],
)
def test_one_register_of_many_is_read(others, max_lag, every):
    register, history = Register(), LossHistory()
    callback_list = FedList(register, [history, *(cls() for cls in others)], max_lag=max_lag)
    callback_list.on_epoch_begin(0)
    for batch in range(64):
        callback_list.on_train_batch_begin(batch)
        callback_list.on_train_batch_end(batch, register.batch(float(batch)))
        if max_lag:
            register.arrays[-1].ready = batch % 3 == 0
    callback_list.on_epoch_end(0, {})
    read = [at for at, array in enumerate(register.arrays) if array.reads]
    assert len(read) == 64 // every
    assert max(array.reads for array in register.arrays) == 1
    np.testing.assert_array_equal(history.losses, np.arange(64, dtype="float32"))


def test_a_decision_is_at_most_max_lag_batches_late():
    for max_lag in (0, 1, 5, 16):
        register = Register()
        stopping = EarlyStopping("loss", unit="batch", patience=3)
        trained = model()
        callback_list = FedList(register, [stopping], max_lag=max_lag, model=trained)
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        for batch in range(64):
            callback_list.on_train_batch_begin(batch)
            callback_list.on_train_batch_end(batch, register.batch(1.0))
            if trained.stop_training:
                break
        assert stopping.stopped_batch == 3
        assert 3 <= batch <= 3 + max_lag
