"""The report on callbacks that slow the training down."""

import time
import warnings

import keras
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import callbacks
from fitwatch.callbacks import _slow


class Sleeps(keras.callbacks.Callback):
    def __init__(self, begin=0.0, end=0.0):
        super().__init__()
        self.begin, self.end = begin, end

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(self.begin)

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(self.end)


def drive(made, batches, epochs=1, step=0.001):
    """Runs epochs; the warnings that came of it."""
    callback_list = callbacks.CallbackList(made)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        callback_list.on_train_begin()
        for epoch in range(epochs):
            callback_list.on_epoch_begin(epoch)
            for batch in range(batches):
                callback_list.on_train_batch_begin(batch)
                time.sleep(step)
                callback_list.on_train_batch_end(batch, {"loss": 1.0})
            callback_list.on_epoch_end(epoch, {})
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("times", [{"begin": 0.003}, {"end": 0.003}])
def test_a_slow_callback_is_reported_once_with_its_name_and_share(times):
    (report,) = drive([keras.callbacks.Callback(), Sleeps(**times)], 60, epochs=3)
    assert report.startswith("Sleeps is slow: its batch hooks took ")
    share = int(report.split("took ")[1].split("%")[0])
    assert 50 < share < 95  # three parts of four


def test_a_fast_callback_is_not():
    assert drive([Sleeps(end=0.0001)], 60, step=0.01) == []


def test_a_long_epoch_does_not_put_the_report_off():
    callback_list = callbacks.CallbackList([Sleeps(end=0.001)])
    with pytest.warns(UserWarning, match="Sleeps is slow"):
        for batch in range(1000):
            callback_list.on_train_batch_end(batch, {"loss": 1.0})


def test_one_of_keras_that_runs_the_slow_way_is_named(tmp_path, make_model, data):
    """Made before `enable()`, where there is a fast one."""
    stock = keras.callbacks.TerminateOnNaN()
    with fitwatch.enabled(), pytest.warns(UserWarning, match="runs the slow way") as caught:
        make_model().fit(*data, epochs=2, verbose=0, callbacks=[stock])
    (report,) = [str(w.message) for w in caught if "slow" in str(w.message)]
    assert report.startswith("TerminateOnNaN is Keras's own")
    assert "fitwatch.callbacks.TerminateOnNaN" in report


def test_one_of_keras_that_has_no_batch_hook_is_not(make_model, data):
    stock = keras.callbacks.EarlyStopping("loss"), keras.callbacks.ReduceLROnPlateau("loss")
    with fitwatch.enabled(), no_warnings():
        make_model().fit(*data, epochs=2, verbose=0, callbacks=list(stock))


def test_short_epochs_are_reported_once_enough_is_measured():
    (report,) = drive([Sleeps(end=0.003)], 3, epochs=20)
    assert report.startswith("Sleeps is slow")


def test_nothing_is_said_of_those_that_are_fitwatch_s_own():
    """What they cost is known, and a subclass is its author's."""
    callback = callbacks.LearningRateScheduler(lambda step, lr: lr, unit="batch")
    with no_warnings():
        _slow.report([callback], [(0, 0.9)], 100, set())
    with pytest.warns(UserWarning, match=r"Mine is slow: its batch hooks took 90%"):
        _slow.report([type("Mine", (callbacks.EarlyStopping,), {})()], [(0, 0.9)], 100, set())
