"""One callback, one place in one list, one fit at a time; two fits, two models."""

import contextlib
import copy
import threading

import keras
import numpy as np
import pytest
from catalogue import MAKERS

import fitwatch
from fitwatch import callbacks

LISTS = {"compiled": fitwatch.enabled, "stock list": contextlib.nullcontext}

# Every callback in a compiled list; in a stock one, those whose ways differ.
each_callback = pytest.mark.parametrize(
    ("make", "on"),
    [
        pytest.param(make, on, id=f"{name} in a {kind}")
        for name, make in MAKERS.items()
        for kind, on in LISTS.items()
        if kind == "compiled" or name in ("CSVLogger", "EarlyStopping", "TensorBoard")
    ],
)


@pytest.fixture(scope="module")
def models():
    """The same for all: what a backend has compiled is used again."""

    def model():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return model(), model()


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(24, 2))
    return x, x.sum(axis=1)


@each_callback
def test_twice_in_a_list(on, make, models, data, tmp_path):
    callback = make(tmp_path)
    with (
        on(),
        pytest.raises(ValueError, match=f"the same {type(callback).__name__} is in the list"),
    ):
        models[0].fit(*data, verbose=0, callbacks=[callback, callback])
    with on():
        models[0].fit(*data, verbose=0, callbacks=[callback])


@each_callback
def test_in_a_fit_inside_its_fit(on, make, models, data, tmp_path):
    callback = make(tmp_path)
    outer, inner = models

    class Fits(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(RuntimeError, match="belongs to another fit"):
                inner.fit(*data, verbose=0, callbacks=[callback])
            copy.copy(callback).set_model(inner)

    with on():
        outer.fit(*data, verbose=0, callbacks=[callback, Fits()])
    assert callback._model is outer


@pytest.mark.parametrize("on", LISTS.values(), ids=LISTS)
def test_in_two_fits_at_the_same_time(on, models, data):
    callback = callbacks.EarlyStopping("loss", patience=100)
    begun, done = threading.Event(), threading.Event()

    class Waits(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.set()
            assert done.wait(60)

    def first():
        models[0].fit(*data, verbose=0, callbacks=[callback, Waits()])

    with on():
        thread = threading.Thread(target=first)
        thread.start()
        assert begun.wait(60)
        try:
            with pytest.raises(RuntimeError, match="EarlyStopping belongs to another fit"):
                models[1].fit(*data, verbose=0, callbacks=[callback])
        finally:
            done.set()
            thread.join()
        assert callback._model is models[0]
        models[1].fit(*data, verbose=0, callbacks=[callback])


def test_a_list_in_two_fits_at_the_same_time(models, data):
    """A CallbackList made by the user, passed to both fits."""
    begun, done = threading.Event(), threading.Event()

    class Waits(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.set()
            assert done.wait(60)

    listed = [callbacks.EarlyStopping("loss"), Waits()]
    own = callbacks.CallbackList(listed, model=models[0], add_history=True)
    thread = threading.Thread(
        target=lambda: models[0].fit(*data, verbose=0, callbacks=own), daemon=True
    )
    thread.start()
    assert begun.wait(60)
    try:
        with pytest.raises(RuntimeError, match="EarlyStopping belongs to another fit"):
            models[1].fit(*data, verbose=0, callbacks=own)
    finally:
        done.set()
        thread.join()


def test_an_object_that_cannot_be_asked_is_in_the_way_of_nobody(models, data):
    """Proxies whose target does not exist at the moment."""

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("nobody behind")

        def fit(self):
            models[0].fit(*data, verbose=0, callbacks=[callbacks.EarlyStopping("loss")])

    Proxy().fit()


@each_callback
def test_after_a_fit_that_an_exception_has_ended(on, make, models, data, tmp_path):
    """Its frames may still be there, in the traceback."""

    class Raises(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ZeroDivisionError

    callback = make(tmp_path)
    with on():
        with pytest.raises(ZeroDivisionError) as kept:
            models[0].fit(*data, verbose=0, callbacks=[callback, Raises()])
        models[0].fit(*data, verbose=0, callbacks=[callback])
    assert kept.traceback


@each_callback
def test_an_evaluation_inside_a_fit_may_have_it(on, make, models, data, tmp_path):
    callback = make(tmp_path)

    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            other.evaluate(*data, verbose=0, callbacks=[callback])

    model, other = models
    with on():
        history = model.fit(*data, epochs=2, verbose=0, callbacks=[callback, Evaluates()])
    assert len(history.epoch) == 2
    assert callback._model is model or isinstance(callback, callbacks.ProgbarLogger)


def test_appended_twice():
    stopping = callbacks.EarlyStopping("loss")
    callback_list = callbacks.CallbackList([stopping])
    with pytest.raises(ValueError, match="the same EarlyStopping is in the list"):
        callback_list.append(stopping)
    assert len(callback_list.callbacks) == 1


def test_two_models_trained_in_turns_share_nothing(stand_in):
    """Two of each, fed with different values, end as each of them does alone."""

    def fed(series_of_each):
        listed = []
        for _ in series_of_each:
            model = stand_in()
            of_this = [
                callbacks.EarlyStopping("loss", patience=3),
                callbacks.ReduceLROnPlateau("loss", patience=1),
                callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9),
                callbacks.LossHistory(),
                callbacks.TerminateOnNaN(),
                callbacks.History(),
            ]
            listed.append(callbacks.CallbackList(of_this, model=model))
            listed[-1].on_train_begin()
        for epoch, values in enumerate(zip(*series_of_each, strict=True)):
            for callback_list, value in zip(listed, values, strict=True):
                callback_list.on_epoch_begin(epoch)
                callback_list.on_train_batch_end(epoch, {"loss": value})
                callback_list.on_epoch_end(epoch, {"loss": value})
        return [
            (
                of_list.callbacks[0].state_dict(),
                of_list.callbacks[1].state_dict(),
                of_list.callbacks[3].losses.tolist(),
                of_list.callbacks[5].history,
                of_list.callbacks[0]._model.optimizer.learning_rate,
                of_list.callbacks[0]._model.stop_training,
            )
            for of_list in listed
        ]

    rng = np.random.default_rng(3)
    one, two = rng.normal(size=(2, 12)).tolist()
    assert fed([one, two]) == [*fed([one]), *fed([two])]
