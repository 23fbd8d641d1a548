"""LearningRateMonitor."""

import keras
import numpy as np
import pytest
from batch_losses import STEPS, dense, numbers
from keras import optimizers
from keras.optimizers.schedules import ExponentialDecay

from fitwatch import callbacks
from fitwatch.callbacks import CallbackList, LearningRateMonitor, LossHistory

X, Y = numbers(80)
DECAY = 0.1 * 0.9 ** np.arange(20)
LISTS = {"compiled": CallbackList, "stock list": keras.callbacks.CallbackList}
each_list = pytest.mark.parametrize("make_list", LISTS.values(), ids=LISTS)


def decaying():
    return optimizers.SGD(ExponentialDecay(0.1, 1, 0.9))


def fit(model, *watching, make_list=CallbackList):
    """Two epochs of ten batches."""
    history = LossHistory(columns="all")
    listed = [history, *watching, LearningRateMonitor()]
    params = {"epochs": 2, "steps": 10, "verbose": 0}
    callback_list = make_list(listed, model=model, add_history=True, **params)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=callback_list)
    return history


@each_list
@pytest.mark.parametrize("steps", STEPS[:2])
def test_a_schedule_has_a_rate_for_each_batch(steps, make_list):
    model = dense(optimizer=decaying(), steps_per_execution=steps)
    rates = fit(model, make_list=make_list).column("learning_rate")
    np.testing.assert_allclose(rates, DECAY, rtol=1e-6)
    np.testing.assert_allclose(model.history.history["learning_rate"], DECAY[9::10], rtol=1e-6)


def test_loss_scaling():
    model = dense(optimizer=optimizers.LossScaleOptimizer(decaying()))
    np.testing.assert_allclose(fit(model).column("learning_rate"), DECAY, rtol=1e-6)


def test_accumulation_counts_batches():
    """As Keras does."""
    optimizer = optimizers.SGD(ExponentialDecay(0.1, 1, 0.9), gradient_accumulation_steps=2)
    rates = fit(dense(optimizer=optimizer)).column("learning_rate")
    np.testing.assert_allclose(rates, DECAY, rtol=1e-6)


def test_several_optimizers():
    parts = {".*kernel": optimizers.SGD(0.5, name="of_kernels")}
    several = optimizers.OptimizerMap(optimizers.Adam(0.25, name="others"), parts)
    history = fit(dense(optimizer=optimizers.MultiOptimizer(several)))
    assert set(history.kinds) - {"loss", "mae"} == {
        "learning_rate/of_kernels",
        "learning_rate/others",
    }
    assert set(history.column("learning_rate/of_kernels")) == {0.5}
    assert set(history.column("learning_rate/others")) == {0.25}


@each_list
def test_a_rate_that_a_callback_sets_in_each_batch(make_list):
    scheduler = callbacks.LearningRateScheduler(lambda step, rate: 2.0**-step, unit="batch")
    model = dense(optimizer="sgd")
    rates = fit(model, scheduler, make_list=make_list).column("learning_rate")
    assert rates.tolist() == [2.0**-step for step in range(20)]


@each_list
@pytest.mark.parametrize("make", [callbacks.ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau])
def test_the_rates_that_other_callbacks_log_stay(make, make_list):
    def logged(*more):
        model = dense(optimizer=optimizers.SGD(0.5))
        plateau = make("loss", patience=0, factor=0.5, min_delta=100.0)
        params = {"epochs": 3, "steps": 10, "verbose": 0}
        listed = make_list([plateau, *more], model=model, add_history=True, **params)
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=listed)
        return model.history.history["learning_rate"]

    assert logged(LearningRateMonitor()) == logged()


def test_the_rate_is_a_copy():
    """On torch, the value of a variable changes under those who keep it."""
    model = dense(optimizer=optimizers.SGD(0.5))
    seen = []

    class Halves(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.5 ** (len(seen) + 2)
            seen.append(batch)

    rates = fit(model, Halves()).column("learning_rate")
    assert rates.tolist() == [0.5 ** (batch + 1) for batch in range(20)]


def test_a_function_of_no_arguments():
    model = dense(optimizer=optimizers.SGD(lambda: 0.125))
    assert set(fit(model).column("learning_rate")) == {0.125}
