"""Attributes that are read in another thread during a fit, as a notebook does for plots."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import scalars
from scalars import LateScalar, late_reader

from fitwatch import callbacks

# Seconds to wait for a thread: for what it must not do, and for what it must do.
A_WHILE, LONG = 0.2, 60


@pytest.fixture
def thread():
    """Calls functions in other threads."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def threads_take_turns_often():
    """A hundred times as often as Python has it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 100)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(autouse=True)
def values_are_late(request, monkeypatch):
    if "make_model" not in request.fixturenames:
        scalars.use(monkeypatch, late_reader())


def held_back(value):
    """A scalar whose value is there when `go` is set; `asked` is set when a thread waits for it."""
    scalar = LateScalar(value)
    scalar.go, scalar.asked = threading.Event(), threading.Event()

    def block_until_ready():
        scalar.asked.set()
        assert scalar.go.wait(LONG)
        scalar.ready = True

    scalar.block_until_ready = block_until_ready
    return scalar


def train(callback_list, losses, first=0):
    for batch, loss in enumerate(losses, start=first):
        callback_list.on_train_batch_begin(batch)
        callback_list.on_train_batch_end(batch, {"loss": loss})


def test_the_thread_that_trains_waits_for_one_that_reads(thread):
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    train(callback_list, [late := held_back(1.0), 2.0])
    looking = thread(lambda: history.losses)
    assert late.asked.wait(LONG)
    threading.Timer(A_WHILE, late.go.set).start()
    train(callback_list, [3.0, 4.0], first=2)
    np.testing.assert_array_equal(history.losses, [1, 2, 3, 4])
    assert looking.result(LONG)[:2].tolist() == [1, 2]


def test_threads_that_read_wait_for_the_one_that_trains(thread):
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    train(callback_list, [late := held_back(1.0), 2.0])
    training = thread(callback_list._recorder.drain)
    assert late.asked.wait(LONG)
    looking = [thread(lambda: history.losses) for _ in range(3)]
    threading.Event().wait(A_WHILE)
    assert not any(looked.done() for looked in looking)
    late.go.set()
    for looked in looking:
        np.testing.assert_array_equal(looked.result(LONG), [1, 2])
    training.result(LONG)


def test_the_thread_that_trains_carries_decisions_out(thread, stand_in):
    """On JAX another one must not touch the model."""
    history = callbacks.LossHistory()
    stopping = callbacks.EarlyStopping("loss", mode="min", unit="batch", patience=2)
    callback_list = callbacks.CallbackList([stopping, history], model=(model := stand_in()))
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    train(callback_list, map(LateScalar, [2.0, 1.0, 3.0, 3.0, 3.0]))
    assert thread(lambda: (stopping.best, stopping.best_batch)).result(LONG) == (1.0, 1)
    assert thread(lambda: history.losses.tolist()).result(LONG) == [2, 1, 3]
    assert not model.stop_training
    assert stopping.stop_reason is None
    assert history.losses.tolist() == [2, 1, 3, 3, 3]
    assert model.stop_training
    assert stopping.stopped_batch == 3


def panic():
    """A panic of the core, as Python sees it."""
    kinds = [kind for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException"]
    return kinds[-1]("as if the core had failed")


@pytest.mark.parametrize("make", [lambda: ValueError("x"), KeyboardInterrupt, panic])
def test_an_action_that_fails_loses_nothing(thread, make, stand_in):
    history = callbacks.LossHistory()
    with pytest.raises(TypeError):  # the core knows its panics once an error has passed it
        callbacks.CallbackList([])._recorder.drain_for_read("x", "y")
    error = make()

    def act(*_):
        raise error

    stopping = callbacks.EarlyStopping("loss", mode="min", unit="batch", patience=1)
    stopping._fitwatch.act = act
    callback_list = callbacks.CallbackList([stopping, history], model=stand_in())
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    train(callback_list, map(LateScalar, [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(type(error)):
        callback_list._recorder.drain()
    assert history.losses.tolist() == thread(lambda: history.losses.tolist()).result(LONG)


EPOCHS = 3


def fit(make_model, data, folder, look):
    """A fit with batch monitors, and with another thread that calls `look` all the time."""
    x, y = data
    history = callbacks.LossHistory()
    stopping = callbacks.EarlyStopping(
        "loss", unit="batch", patience=10**6, restore_best_weights=True
    )
    plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=15, halflife=4)
    csv = callbacks.CSVLogger(folder / "log.csv", update_freq=3, loss="batch")
    some = [history, stopping, plateau, csv, callbacks.TerminateOnNaN()]
    done, failed, seen = threading.Event(), [], [np.zeros(0)]

    def loop():
        while not done.is_set():
            try:
                look(seen, history, stopping, plateau)
            except BaseException as error:
                failed.append(error)
                return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        model = make_model()
        # With a lag, how late the rate is reduced depends on the device.
        callback_list = callbacks.CallbackList(some, add_history=True, model=model, max_lag=0)
        model.fit(x, y, epochs=EPOCHS, batch_size=1, verbose=0, callbacks=callback_list)
    finally:
        done.set()
        thread.join(LONG)
    assert not thread.is_alive()
    assert not failed
    np.testing.assert_array_equal(seen[-1], history.losses[: len(seen[-1])])
    table = (folder / "log.csv").read_text()
    states = [stopping.state_dict(), plateau.state_dict()]
    return history.losses, states, plateau.reductions, table, model.get_weights(), len(seen)


@pytest.mark.usefixtures("threads_take_turns_often")
def test_a_fit_whose_attributes_are_read_all_the_time(make_model, data, tmp_path):
    def look(seen, history, stopping, plateau):
        losses = history.losses
        np.testing.assert_array_equal(losses[: len(seen[-1])], seen[-1])  # none is missing
        if len(losses) > len(seen[-1]):
            seen.append(losses)
        for name in ("best", "wait", "best_batch", "stopped_batch", "patience"):
            getattr(stopping, name)
        plateau.best, plateau.wait, plateau.cooldown_counter  # noqa: B018 (each drains the queue)

    runs = []
    for name, one in (("alone", lambda *_: threading.Event().wait(0.01)), ("read", look)):
        (tmp_path / name).mkdir()
        keras.utils.set_random_seed(0)
        runs.append(fit(make_model, data, tmp_path / name, one))
    (*alone, _), (*read, looks) = runs
    assert looks > 3
    assert len(alone[2]) > 1  # the rate was reduced
    assert len(alone[0]) == 60 * EPOCHS
    np.testing.assert_equal(read, alone)
