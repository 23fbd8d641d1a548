"""The report on callbacks that slow the training down. Its rule is tested in the core."""

import linecache
import re
import time
import warnings

import keras
import numpy as np
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import _core, callbacks
from fitwatch._engine import readers, slow_hooks


class Sleeps(keras.callbacks.Callback):
    def __init__(self, begin=0.0, end=0.0, test=0.0):
        super().__init__()
        self.begin, self.end, self.test = begin, end, test

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(self.begin)

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(self.end)

    def on_test_batch_end(self, batch, logs=None):
        time.sleep(self.test)


class Tutorial(keras.callbacks.Callback):
    """What the tutorials begin with."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


class Late:
    """A value that comes 20 ms after it is asked for."""

    def read(self):
        time.sleep(0.02)
        return 0.5


@pytest.fixture
def late(monkeypatch):
    """Logs whose values come late, on every backend."""
    reader = _core.Reader(lambda value: value.read(), array=Late)
    monkeypatch.setattr(readers, "reader", lambda: reader)
    return lambda: {"loss": Late()}


def a_loss():
    return {"loss": 1.0}


def drive(made, batches, epochs=1, step=0.001, logs=a_loss):
    """Runs epochs with callbacks, or their `CallbackList`; the warnings that came of it."""
    is_made = isinstance(made, callbacks.CallbackList)
    callback_list = made if is_made else callbacks.CallbackList(made)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        callback_list.on_train_begin()
        for epoch in range(epochs):
            callback_list.on_epoch_begin(epoch)
            for batch in range(batches):
                callback_list.on_train_batch_begin(batch)
                time.sleep(step)
                callback_list.on_train_batch_end(batch, logs())
            callback_list.on_epoch_end(epoch, {})
    return [str(warning.message) for warning in caught]


def share(report, name="Sleeps"):
    """The percentage that a report on a class of this name has."""
    (number,) = re.findall(rf"^{name} is slow: its batch hooks took (\d+)% of the time\.$", report)
    return int(number)


@pytest.mark.parametrize("times", [{"begin": 0.012}, {"end": 0.012}])
def test_a_slow_callback_is_reported_once_with_its_name_and_share(times):
    (report,) = drive([keras.callbacks.Callback(), Sleeps(**times)], 30, epochs=3)
    assert 60 < share(report) < 100  # 12 parts of 13


def test_every_fit_is_reported_on_by_itself():
    sleeps = Sleeps()
    callback_list = callbacks.CallbackList([sleeps])
    for sleeps.end in (0.02, 0, 0.02):
        reports = drive(callback_list, 40)
        assert [share(report) > 60 for report in reports] == ([True] if sleeps.end else [])


def test_little_time_is_not_worth_a_word():
    assert drive([Sleeps(end=0.005)], 36) == []  # 0.18 s


def test_one_long_call_is_none():
    class Imports(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(1.0 if batch == 20 else 0)

    assert drive([Imports()], 70) == []


def test_a_long_epoch_does_not_put_the_report_off():
    callback_list = callbacks.CallbackList([Sleeps(end=0.01)])
    with pytest.warns(UserWarning, match="Sleeps is slow"):
        for batch in range(80):
            callback_list.on_train_batch_end(batch, a_loss())


def test_short_epochs_count_and_what_lies_between_them_does_not():
    class Pauses(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.07)

    (report,) = drive([Sleeps(end=0.012), Pauses()], 3, epochs=20)
    assert share(report) > 60  # with the pauses it would be a third


def test_an_evaluation_is_reported_on_when_it_ends():
    callback_list = callbacks.CallbackList([Sleeps(test=0.012)])
    callback_list.on_test_begin()
    with no_warnings():
        for batch in range(60):
            callback_list.on_test_batch_end(batch, a_loss())
    with pytest.warns(UserWarning, match="Sleeps is slow"):
        callback_list.on_test_end(a_loss())


def test_waiting_for_values_is_no_time_of_the_callback(late):
    tutorial = Tutorial()
    assert drive([tutorial], 40, logs=late) == []
    assert tutorial.losses == [0.5] * 40


def test_nor_is_reading_what_a_callback_of_fitwatch_has(late):
    record = callbacks.LossHistory(loss="running")

    class Watches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.count = len(record.losses)

    watches = Watches()
    assert drive([record, watches], 40, logs=late) == []
    assert watches.count == 40


def test_nor_is_what_another_training_in_a_hook_waits_for(late):
    class Trains(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.inner = drive([Tutorial()], 3, step=0, logs=late)

    trains = Trains()
    assert drive([trains], 20, logs=late) == []
    assert trains.inner == []


def test_what_else_another_training_in_a_hook_takes_is(late):
    class Trains(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.inner = drive([Tutorial()], 2, step=0.01, logs=a_loss)

    trains = Trains()
    (report,) = drive([trains], 50)
    assert 60 < share(report, "Trains") < 100
    assert trains.inner == []


def test_the_tutorial_s_callback_in_a_fit_is_not_reported():
    """On JAX its reading waits for the device, most of the time and more than half a second."""
    wide = [keras.layers.Dense(1024) for _ in range(3)]
    model = keras.Sequential([keras.Input((1024,)), *wide, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((48 * 64, 1024), "float32"), np.zeros((48 * 64, 1), "float32")
    with fitwatch.enabled(), no_warnings():
        model.fit(x, y, batch_size=64, verbose=0, callbacks=[Tutorial()])


@pytest.mark.parametrize("stock", [False, True])
def test_the_warning_is_at_the_line_of_fit(stock, make_model, data):
    made = keras.callbacks.TerminateOnNaN() if stock else Sleeps(end=0.012)
    with fitwatch.enabled(), pytest.warns(UserWarning, match="slow") as caught:
        make_model().fit(*data, batch_size=1, verbose=0, callbacks=[made])
    (warning,) = [w for w in caught if "slow" in str(w.message)]
    assert warning.filename == __file__
    assert "make_model().fit(" in linecache.getline(__file__, warning.lineno)


def test_where_warnings_are_errors_the_training_goes_on(make_model, data, capsys):
    with fitwatch.enabled(), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = make_model().fit(
            *data, batch_size=1, epochs=2, verbose=0, callbacks=[Sleeps(end=0.012)]
        )
    assert len(history.history["loss"]) == 2
    assert capsys.readouterr().err.count("Sleeps is slow") == 1


def test_one_of_keras_that_runs_the_slow_way_is_named(make_model, data):
    """Made before `enable()`, where there is a fast one; however little time it takes."""
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


def test_the_right_one_is_named_when_the_list_changes_in_the_meantime():
    class Leaves(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            callback_list.callbacks.remove(self)

    callback_list = callbacks.CallbackList([Leaves(), Sleeps(end=0.02), Tutorial()])
    (report,) = drive(callback_list, 40)
    assert report.startswith("Sleeps is slow")


def test_nothing_is_said_of_those_that_are_fitwatch_s_own():
    """What they cost is known, and a subclass is its author's."""
    callback = callbacks.LearningRateScheduler(lambda step, lr: lr, unit="batch")
    with no_warnings():
        slow_hooks.report([(callback, 0.9, True)], [], {})
    with pytest.warns(UserWarning, match=r"Mine is slow: its batch hooks took 90%"):
        slow_hooks.report([(type("Mine", (callbacks.EarlyStopping,), {})(), 0.9, True)], [], {})


def test_a_class_that_cannot_be_named_ends_no_training():
    class Meta(type):
        __name__ = property(lambda cls: 1 / 0)

        def __eq__(cls, other):
            raise ValueError

    class Odd(metaclass=Meta):
        pass

    reported, shares = [], [(Odd(), 0.9, True)]
    with pytest.warns(UserWarning, match="cannot be reported: ZeroDivisionError") as caught:
        slow_hooks.report(shares, reported, {})
        slow_hooks.report(shares, reported, {})
    assert len(caught) == 1
