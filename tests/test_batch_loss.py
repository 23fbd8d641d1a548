"""The per-batch loss, compared with `train_on_batch`."""

import copy
import gc
import pickle
import weakref
from functools import cache

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, STEPS, assert_same, compiled, cut, dense, numbers, one_by_one
from batch_losses import recorded as record

from fitwatch.callbacks import CallbackList, LossHistory

needs_steps = pytest.mark.skipif(BACKEND == "torch", reason="Keras has one step only on torch")


class Added(keras.layers.Layer):
    """Adds a loss, and passes everything on."""

    def call(self, x):
        self.add_loss(0.01 * keras.ops.sum(keras.ops.square(x)))
        return x


def with_added_loss(**options):
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(1)(Added()(keras.layers.Dense(5, "tanh")(inputs)))
    return compiled(keras.Model(inputs, outputs), **options)


def two_outputs(**options):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, "tanh")(inputs)
    model = keras.Model(
        inputs, [keras.layers.Dense(1, name="a")(hidden), keras.layers.Dense(1, name="b")(hidden)]
    )
    model.compile("adam", ["mse", "mae"], loss_weights=[1.0, 0.5], **options)
    return model


def mixed(**options):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return dense(**options)
    finally:
        keras.config.set_dtype_policy("float32")


X, Y = numbers()
WEIGHTS = np.linspace(0.1, 2, len(X)).astype("float32")
MODELS = {
    "plain": (dense, (X, Y)),
    "regularised": (lambda **o: dense(regularizer="l2", **o), (X, Y)),
    "added loss": (with_added_loss, (X, Y)),
    "several outputs": (two_outputs, (X, [Y, -Y])),
    "sample weights": (dense, (X, Y, WEIGHTS)),
    "mixed precision": (mixed, (X, Y)),
}


def seeded(make, **options):
    keras.utils.set_random_seed(1)
    return make(**options)


def reference(make, arrays, size, epochs=2, **options):
    batches = [batch for _ in range(epochs) for batch in cut(arrays, size)]
    return one_by_one(seeded(make, **options), batches)


@cache
def slowly(kind):
    make, arrays = MODELS[kind]
    return reference(make, arrays, 7)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_is_that_of_train_on_batch(kind, steps):
    make, arrays = MODELS[kind]
    history = record(seeded(make, steps_per_execution=steps), arrays, 7)
    if kind == "mixed precision":
        # JAX compiles two programs, which may round differently.
        np.testing.assert_allclose(history.losses, slowly(kind), rtol=1e-3)
    else:
        # The tracker computes (x * n) / n, which is x except for the last digit.
        assert_same(history.losses, slowly(kind))
    assert history.kind == "batch"
    assert len(history.epoch(0)) == len(history.epoch(1)) == 15


@pytest.mark.parametrize("steps", STEPS)
def test_is_so_in_a_stock_list(steps):
    model = seeded(dense, steps_per_execution=steps)
    assert_same(record(model, (X, Y), 7, compiled_list=False).losses, slowly("plain"))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX compiles two programs")
@pytest.mark.parametrize("steps", STEPS)
def test_is_equal_on_tensorflow(steps):
    history = record(seeded(dense, steps_per_execution=steps), (X, Y), 8)
    np.testing.assert_array_equal(history.losses, reference(dense, (X, Y), 8))


MODES = [{"run_eagerly": True}, {"jit_compile": True}]


@pytest.mark.parametrize("steps", STEPS[:2])
@pytest.mark.parametrize("mode", MODES if BACKEND != "torch" else MODES[:1], ids=str)
def test_eager_and_xla(mode, steps):
    history = record(seeded(dense, steps_per_execution=steps, **mode), (X[:40], Y[:40]), 7)
    # The step of `train_on_batch` is another program.
    np.testing.assert_allclose(
        history.losses, reference(dense, (X[:40], Y[:40]), 7, **mode), rtol=2e-6
    )
    assert history.kind == "batch"


@pytest.mark.parametrize("steps", STEPS[:2])
def test_leaves_no_trace(steps, tmp_path):
    models = [seeded(dense, steps_per_execution=steps) for _ in range(2)]
    validation = {"validation_data": (X, Y), "verbose": 0, "batch_size": 7, "shuffle": False}
    plain = models[0].fit(X, Y, epochs=2, **validation)
    history = LossHistory()
    watched = models[1].fit(X, Y, epochs=2, callbacks=[history], **validation)
    assert watched.history == plain.history
    for ours, theirs in zip(models[1].get_weights(), models[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert vars(models[1]).keys() == vars(models[0]).keys()
    assert vars(models[1]._loss_tracker).keys() == vars(models[0]._loss_tracker).keys()
    assert len(models[1].variables) == len(models[0].variables)
    assert models[1].evaluate(X, Y, verbose=0, return_dict=True).keys() == {"loss", "mae"}
    assert models[1].train_on_batch(X, Y, return_dict=True).keys() == {"loss", "mae"}
    models[1].save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.variables] == [v.path for v in models[1].variables]


class Boom(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_train_batch_end(self, batch, logs=None):
        if batch >= self.at:
            raise RuntimeError("boom")


@pytest.mark.parametrize("compiled_list", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("steps", STEPS[:2])
def test_after_an_exception_the_model_is_as_it_was(steps, compiled_list):
    model = seeded(dense, steps_per_execution=steps)
    model.fit(X, Y, verbose=0)
    own = model.train_function
    history = LossHistory()

    def interrupted():
        callbacks = [history, Boom(9)]
        if compiled_list:
            callbacks = CallbackList(callbacks, add_history=True, model=model)
        with pytest.raises(RuntimeError, match="boom"):
            model.fit(X, Y, batch_size=2, verbose=0, callbacks=callbacks)

    interrupted()
    gc.collect()  # as soon as the frames of the fit are gone
    assert model.train_function is own
    assert 10 <= len(history.losses) <= 16
    assert history.kind == "batch"
    # And another fit records normally.
    record(model, (X, Y), 7, history=history)
    assert len(history.losses) == 30


def test_trained_before_without_it_and_after():
    model = seeded(dense)
    model.fit(X, Y, batch_size=7, epochs=1, shuffle=False, verbose=0)
    history = record(model, (X, Y), 7, epochs=1)
    assert_same(history.losses, reference(dense, (X, Y), 7)[15:])


def traces(model):
    """Counts how often the model's step is traced."""
    counted = []
    step = type(model).train_step

    class Counting(type(model)):
        def train_step(self, *args):
            counted.append(1)
            return step(self, *args)

    model.__class__ = Counting
    return counted


@pytest.mark.skipif(BACKEND == "torch", reason="torch compiles nothing")
@pytest.mark.parametrize("steps", STEPS[:2])
def test_a_second_fit_does_not_compile_again(steps):
    model = seeded(dense, steps_per_execution=steps)
    counted = traces(model)
    record(model, (X, Y), 10, epochs=1)
    first = len(counted)
    record(model, (X, Y), 10, epochs=2)
    assert first > 0
    assert len(counted) == first
    # A fit without the losses is another program, which is compiled once too.
    model.fit(X, Y, batch_size=10, verbose=0)
    without = len(counted)
    record(model, (X, Y), 10, epochs=1)
    model.fit(X, Y, batch_size=10, verbose=0)
    assert len(counted) == without <= 2 * first


def assert_its_own_ten(history, model, callbacks, compiled_list):
    """Fits ten batches; what a callback trains after the fourth is none of them."""
    if compiled_list:
        callbacks = CallbackList(callbacks, add_history=True, model=model)
    model.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=callbacks)
    assert len(history.losses) == 10
    np.testing.assert_allclose(
        history.losses[:4], reference(dense, (X, Y), 10, epochs=1)[:4], rtol=1e-6
    )


class Meddling(keras.callbacks.Callback):
    """Trains and evaluates in the middle of a fit."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 3:
            self.model.evaluate(X, Y, verbose=0)
            self.model.train_on_batch(X, Y)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("compiled_list", [True, False], ids=["compiled", "stock"])
def test_a_batch_that_a_callback_trains_is_none_of_the_epochs(first, compiled_list):
    history, meddling = LossHistory(), Meddling()
    model = seeded(dense)
    callbacks = [meddling, history] if first else [history, meddling]
    assert_its_own_ten(history, model, callbacks, compiled_list)


def test_two_histories_and_a_running_mean():
    one, two, running = LossHistory(), LossHistory(capacity=3), LossHistory(loss="running")
    logged = []
    by_hand = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: logged.append(logs["loss"])
    )
    model = seeded(dense)
    model.fit(X, Y, batch_size=7, verbose=0, epochs=2, callbacks=[one, two, running, by_hand])
    np.testing.assert_array_equal(two.losses, one.losses[-3:])
    np.testing.assert_array_equal(running.losses, np.array(logged, dtype=np.float32))
    assert (one.kind, two.kind, running.kind) == ("batch", "batch", "running")
    assert not np.array_equal(one.losses, running.losses)


@needs_steps
def test_fewer_batches_than_a_call_takes():
    history = record(seeded(dense, steps_per_execution=32), (X, Y), 10, epochs=3)
    assert [len(history.epoch(n)) for n in range(3)] == [10, 10, 10]
    assert_same(history.losses, reference(dense, (X, Y), 10, epochs=3))


def test_a_train_function_that_is_made_anew_in_the_middle():
    class Remakes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    history, model = LossHistory(), seeded(dense)
    options = {"batch_size": 10, "shuffle": False, "verbose": 0}
    model.fit(X, Y, epochs=3, callbacks=[history, Remakes()], **options)
    assert_same(history.losses, reference(dense, (X, Y), 10, epochs=3))


@pytest.mark.parametrize("compiled_list", [True, False], ids=["compiled", "stock"])
def test_a_fit_of_the_same_model_inside(compiled_list):
    class Fits(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                self.model.fit(X * 100, Y, batch_size=50, verbose=0)

    history, model = LossHistory(), seeded(dense)
    callbacks = [Fits(), history]
    assert_its_own_ten(history, model, callbacks, compiled_list)


@pytest.mark.parametrize("compiled_list", [True, False], ids=["compiled", "stock"])
def test_a_fit_inside_that_is_watched_too(compiled_list):
    inner = LossHistory()

    class Fits(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                self.model.fit(X * 100, Y, batch_size=50, verbose=0, callbacks=[inner])

    history, model = LossHistory(), seeded(dense)
    callbacks = [Fits(), history]
    if compiled_list:
        callbacks = CallbackList(callbacks, add_history=True, model=model)
    own = []
    remember = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: own.append(model.train_function)
    )
    model.fit(X, Y, batch_size=10, verbose=0, callbacks=[remember])
    model.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=callbacks)
    assert (len(history.losses), len(inner.losses)) == (10, 2)
    assert not set(inner.losses) & set(history.losses)
    assert history.kind == inner.kind == "batch"
    assert model.train_function is own[0]


def test_what_is_recorded_is_known_in_the_middle_of_a_fit(tmp_path):
    found = []

    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            history.save(tmp_path / "new" / "run.npz")
            kinds = [LossHistory.load(tmp_path / "new" / "run.npz").kind]
            kinds += [copy.copy(history).kind, pickle.loads(pickle.dumps(history)).kind]
            found.extend([*kinds, history.state_dict()["kind"]])

    history = LossHistory()
    seeded(dense).fit(X, Y, verbose=0, epochs=2, callbacks=[history, Looks()])
    assert found == ["batch"] * 8
    other = LossHistory(loss="running")
    other.load_state_dict(history.state_dict())
    assert other.kind == "batch"


def test_a_model_and_its_fits_are_let_go():
    model, history = seeded(dense), LossHistory()
    for _ in range(2):
        record(model, (X, Y), 50, epochs=1, history=history, compiled_list=False)
    gone = weakref.ref(model)
    del model
    history.set_model(None)
    keras.backend.clear_session()
    for _ in range(3):
        gc.collect()
    assert gone() is None


@pytest.mark.skipif(BACKEND != "jax", reason="TensorFlow compiles one step for all of them")
@pytest.mark.parametrize("steps", [1, 3])
def test_logs_that_depend_on_the_shape_of_a_batch(steps):
    """The last batch of an epoch is smaller, and its step is another one."""
    seen = []

    class Model(keras.Sequential):
        def train_step(self, *args):
            logs, state = super().train_step(*args)
            loss, rows = logs["loss"], args[-1][0].shape[0]
            extra = (
                {"tail": loss * 0 + 100.0, "zero": loss * 0} if rows != 10 else {"a": loss * 0 + 1}
            )
            logs = {**extra, "loss": loss}
            return logs, state

    class Sees(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(dict(logs))

    x = np.random.default_rng(0).normal(size=(25, 4)).astype("float32")
    model = Model([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=steps)
    history = LossHistory()
    model.fit(
        x, x[:, :1], batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=[history, Sees()]
    )
    assert len(history.losses) == 6
    assert history.kind == "batch"
    usual, tail = {"a": 1.0}, {"tail": 100.0, "zero": 0.0}
    expected = [usual, usual, tail] * 2 if steps == 1 else [tail] * 2
    assert [{k: v for k, v in logs.items() if k != "loss"} for logs in seen] == expected
