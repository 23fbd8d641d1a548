"""Rows of the table in docs/moving.md that are about decisions, rates and lists: beside Keras."""

import contextlib
import math
import warnings

import keras
import numpy as np
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import callbacks

STOCK = keras.callbacks
each_module = pytest.mark.parametrize("module", [STOCK, callbacks], ids=["keras", "fitwatch"])


@pytest.fixture(scope="module")
def model():
    """One for all tests that train nothing."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def drive(module, made, model, epochs, batches=1):
    """A hand-written loop: one dict of logs for each epoch, until a callback stops it."""
    listed = module.CallbackList(made, model=model, epochs=len(epochs), verbose=1, steps=batches)
    listed._async_train = False
    model.stop_training = False
    listed.on_train_begin()
    for epoch, logs in enumerate(epochs):
        listed.on_epoch_begin(epoch)
        for batch in range(batches):
            listed.on_train_batch_begin(batch)
            listed.on_train_batch_end(batch, dict(logs))
        listed.on_epoch_end(epoch, dict(logs))
        if model.stop_training:
            break
    listed.on_train_end()
    return epoch


def losses(*values):
    return [{"loss": value} for value in values]


def test_a_nan_that_comes_first(model):
    epochs = losses(math.nan, 0.5, 0.4, 0.3)
    theirs, ours = (module.EarlyStopping("loss", patience=2) for module in (STOCK, callbacks))
    assert drive(STOCK, [theirs], model, epochs) == 2  # while the loss falls
    assert math.isnan(theirs.best)
    assert drive(callbacks, [ours], model, epochs) == 3
    assert ours.best == 0.3


def test_an_infinity_that_comes_first(model):
    for module, best in ((STOCK, math.inf), (callbacks, None)):
        stopping = module.EarlyStopping("loss", patience=2)
        drive(module, [stopping], model, losses(math.inf))
        assert stopping.best == best


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_a_metric_that_is_missing(name, model):
    for module, expected in ((STOCK, 3), (callbacks, 1)):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            drive(
                module, [getattr(module, name)("val_los", mode="min")], model, losses(1.0, 1.0, 1.0)
            )
        messages = [str(w.message) for w in seen if "val_los" in str(w.message)]
        assert len(messages) == expected
    assert "Nearest: 'loss'" in messages[0]


def test_warnings_as_errors(model, capsys):
    for module, error in (
        (STOCK, pytest.raises(UserWarning)),
        (callbacks, contextlib.nullcontext()),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with error:
                drive(module, [module.EarlyStopping("speed", mode="max")], model, losses(1.0))
    assert "UserWarning: EarlyStopping: the monitored metric 'speed'" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_schedule_that_returns_what_is_no_rate(bad, model):
    before = float(model.optimizer.learning_rate)
    try:
        with no_warnings():
            drive(STOCK, [STOCK.LearningRateScheduler(lambda epoch: bad)], model, losses(1.0))
        np.testing.assert_equal(float(model.optimizer.learning_rate), np.float32(bad))
    finally:
        model.optimizer.learning_rate = before
    with pytest.raises(ValueError, match="epoch 0"):
        drive(callbacks, [callbacks.LearningRateScheduler(lambda epoch: bad)], model, losses(1.0))
    assert float(model.optimizer.learning_rate) == before


@pytest.mark.parametrize("rate", [1, keras.ops.convert_to_tensor(0.25)], ids=["int", "tensor"])
def test_a_schedule_that_returns_a_number_of_another_type(rate, model):
    with pytest.raises(ValueError, match="should be a float"):
        drive(STOCK, [STOCK.LearningRateScheduler(lambda epoch: rate)], model, losses(1.0))
    before = float(model.optimizer.learning_rate)
    drive(callbacks, [callbacks.LearningRateScheduler(lambda epoch: rate)], model, losses(1.0))
    assert float(model.optimizer.learning_rate) == float(rate)
    model.optimizer.learning_rate = before


def test_a_rate_that_follows_a_schedule():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    for module, warned in (
        (STOCK, no_warnings()),
        (callbacks, pytest.warns(UserWarning, match="has a LearningRateSchedule")),
    ):
        scheduler = module.LearningRateScheduler(lambda epoch, rate: rate / 2)
        scheduler.set_model(model)
        with warned:
            scheduler.on_train_begin()
        with pytest.raises(TypeError, match="created with a `LearningRateSchedule`"):
            scheduler.on_epoch_begin(0)


def test_the_progress_bar_in_a_pipe(model, capsys):
    for module in (STOCK, callbacks):
        drive(module, [module.ProgbarLogger()], model, losses(0.5), batches=5)
        out = capsys.readouterr().out
        lines = out.splitlines()
        assert all(line.isprintable() for line in lines) == (module is callbacks)
    assert len(lines) == 1
    assert lines[0].startswith("5/5 - ")
    assert lines[0].endswith("loss: 0.5000")


def test_the_same_instance_twice(model):
    stopping = STOCK.EarlyStopping("loss", patience=4)
    assert drive(STOCK, [stopping, stopping], model, losses(*[1.0] * 9)) == 2  # not 4
    stopping = callbacks.EarlyStopping("loss", patience=4)
    with pytest.raises(ValueError, match="is in the list of callbacks twice"):
        drive(callbacks, [stopping, stopping], model, losses(1.0))


def test_a_class_in_the_place_of_an_instance(model):
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        STOCK.CallbackList([STOCK.TerminateOnNaN], model=model)
    with pytest.raises(TypeError, match=r"callbacks\[0\] must be an instance .* Write TerminateOn"):
        callbacks.CallbackList([callbacks.TerminateOnNaN], model=model)


def test_the_name_that_keras_does_not_have():
    with fitwatch.enabled():
        assert not hasattr(keras.callbacks, "LossHistory")
        assert keras.callbacks.History is callbacks.History
    assert callbacks.LossHistory.__module__ == "fitwatch.callbacks.loss_history"


def test_a_callback_from_before_enable():
    """As those of a tool that has imported the class before."""
    before = keras.callbacks.EarlyStopping("loss")
    with fitwatch.enabled():
        assert isinstance(before, STOCK.Callback)
        assert not isinstance(before, keras.callbacks.EarlyStopping)
        after = keras.callbacks.EarlyStopping("loss")
    assert isinstance(after, keras.callbacks.EarlyStopping)  # Keras's class, again


@each_module
def test_an_evaluation_with_the_same_instance_inside_a_fit(module, model, data):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    other.compile("sgd", "sparse_categorical_crossentropy")
    seen = []

    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            other.evaluate(*data, verbose=0, callbacks=[stopping])
            seen.append((stopping._model is self._model, stopping.params["epochs"]))

    stopping = module.EarlyStopping("loss")
    drive(module, [stopping, Evaluates()], model, losses(0.5, 0.5, 0.5)[:1] * 3)
    assert seen[0] == ((False, 1) if module is STOCK else (True, 3))
