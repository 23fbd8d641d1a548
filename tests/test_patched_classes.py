"""Mocks and wrappers on callbacks, classes and lists are called, as with Keras."""

import contextlib
import functools
from collections import Counter
from unittest import mock

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

STOCK = dict(vars(keras.callbacks))
HOOKS = sorted(name for name in vars(keras.callbacks.Callback) if name.startswith("on_"))
LIST_HOOKS = sorted(
    name for name in vars(keras.callbacks.CallbackList) if name.startswith(("on_", "set_"))
)


def arguments(name, folder):
    return {
        "BackupAndRestore": [str(folder / "backup")],
        "CSVLogger": [str(folder / "log.csv")],
        "EarlyStopping": ["loss"],
        "LearningRateScheduler": [lambda epoch, rate: rate],
        "ModelCheckpoint": [str(folder / "x.weights.h5"), "loss", 0, False, True],
        "ReduceLROnPlateau": ["loss"],
        "SwapEMAWeights": [False],
        "TensorBoard": [str(folder / "logs")],
    }.get(name, [])


# Keras's own classes, which are re-exported, need no test.
CLASSES = sorted(
    name
    for name in set(callbacks.__all__) & set(STOCK)
    if name != "CallbackList" and getattr(callbacks, name) is not STOCK[name]
)


def counting(called, name, function):
    """A tracing tool's wrapper."""

    @functools.wraps(function)
    def traced(self, *args, **kwargs):
        called[name] += 1
        return function(self, *args, **kwargs)

    return traced


@contextlib.contextmanager
def traced(cls, names):
    """Puts a wrapper around methods of a class; what was called, and how often."""
    called = Counter()
    with contextlib.ExitStack() as stack:
        for name in names:
            wrapper = counting(called, name, vars(cls)[name])
            stack.enter_context(mock.patch.object(cls, name, wrapper))
        yield called


@pytest.fixture(scope="module")
def model():
    """One for all: nothing is trained but where a test says so."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def drive(cls, made, model, **params):
    """What `fit()`, `evaluate()` and `predict()` do with a list of callbacks."""
    for kind in ("train", "test", "predict"):
        callback_list = cls(made, model=model, epochs=2, verbose=0, steps=3, **params)
        # In all cases, hooks then have an order.
        callback_list._async_train = callback_list._async_test = callback_list._async_predict = (
            False
        )
        begin, end = (getattr(callback_list, f"on_{kind}_{when}") for when in ("begin", "end"))
        begin()
        for epoch in range(2 if kind == "train" else 1):
            if kind == "train":
                callback_list.on_epoch_begin(epoch)
            for batch in range(3):
                getattr(callback_list, f"on_{kind}_batch_begin")(batch)
                getattr(callback_list, f"on_{kind}_batch_end")(batch, {"loss": 0.5 - batch / 10})
            if kind == "train":
                callback_list.on_epoch_end(epoch, {"loss": 0.5})
        end({"loss": 0.5})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", CLASSES)
def test_a_wrapper_on_keras_callback_is_called_for_ours_as_for_stock_ones(
    name, when, model, tmp_path
):
    """Once for each hook that the class itself does not have, in every event."""

    def count(classes, folder):
        folder.mkdir()
        if when == "before":
            with traced(STOCK["Callback"], HOOKS) as called:
                made = [classes[name](*arguments(name, folder))]
                drive(classes["CallbackList"], made, model)
        else:
            made = [classes[name](*arguments(name, folder))]
            with traced(STOCK["Callback"], HOOKS) as called:
                drive(classes["CallbackList"], made, model)
        return called

    theirs = count(STOCK, tmp_path / "theirs")
    assert count(vars(callbacks), tmp_path / "ours") == theirs
    assert (
        theirs["on_train_batch_end"] == 6
        or name in ("ModelCheckpoint", "BackupAndRestore")
        or (name in ("ProgbarLogger", "TensorBoard"))
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_wrapper_on_the_list_is_called_for_every_hook(when, model):
    log = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            log.append(("begin", batch))

        def on_train_batch_end(self, batch, logs=None):
            log.append(("end", batch, logs["loss"]))

    def count(wrapped, cls):
        log.clear()
        names = [name for name in LIST_HOOKS if name in vars(wrapped)]
        with traced(wrapped, names) as called:
            drive(cls, [Seen(), callbacks.LossHistory()], model)
        return called, list(log)

    stock, ours = STOCK["CallbackList"], callbacks.CallbackList
    theirs = count(stock, stock)
    found = count(stock if when == "before" else ours, ours)
    if when == "after":  # what ours has none of is in Keras's
        theirs = ({k: n for k, n in theirs[0].items() if k in vars(ours)}, theirs[1])
        assert {"on_train_batch_begin", "on_train_batch_end", "on_epoch_end"} <= theirs[0].keys()
    assert found == theirs
    assert theirs[0]["on_train_batch_end"] == 6


def test_a_traced_list_goes_on_keeping_values_in_the_core(make_model, data):
    """The end of a batch comes back to the recorder, behind the wrapper."""
    history = callbacks.LossHistory()
    with traced(STOCK["CallbackList"], ["on_train_batch_end"]) as called, fitwatch.enabled():
        make_model().fit(*data, batch_size=20, verbose=0, callbacks=[history])
    assert called == {"on_train_batch_end": 3}
    assert len(history.losses) == 3
    assert np.all(history.losses > 0)


def test_a_wrapper_that_comes_in_the_middle_of_a_fit_is_called_from_the_next_epoch_on(
    make_model, data
):
    called = Counter()

    class Traces(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                cls = callbacks.CallbackList
                hook = vars(cls)["on_train_batch_end"]
                patch = mock.patch.object(cls, "on_train_batch_end", counting(called, "it", hook))
                patch.start()
                patches.append(patch)

    patches = []
    with fitwatch.enabled():
        try:
            make_model().fit(*data, batch_size=20, epochs=3, verbose=0, callbacks=[Traces()])
        finally:
            patches.pop().stop()
        assert called["it"] == 2 * 3
        make_model().fit(*data, batch_size=20, verbose=0)
    assert called["it"] == 2 * 3


@pytest.mark.parametrize("name", CLASSES)
def test_a_mock_in_the_place_of_a_hook_is_called(name, model, tmp_path):
    made = getattr(callbacks, name)(*arguments(name, tmp_path))
    with contextlib.ExitStack() as stack:
        hooks = {
            hook: stack.enter_context(mock.patch.object(made, hook))
            for hook in HOOKS
            if "batch" in hook and hook.count("_") == 3
        }
        drive(callbacks.CallbackList, [made], model)
    assert {hook: called.call_count for hook, called in hooks.items()} == {
        f"on_{kind}_batch_{when}": count
        for kind, count in (("train", 6), ("test", 3), ("predict", 3))
        for when in ("begin", "end")
    }


@pytest.mark.parametrize("name", ["Callback", *CLASSES])
def test_a_mock_of_a_class_is_called_like_keras_calls_it(name, model):
    def calls(classes):
        mocked = mock.MagicMock(spec=classes[name])
        drive(classes["CallbackList"], [mocked], model)
        return [call[0] for call in mocked.method_calls if call[0].startswith(("on_", "set_"))]

    theirs = calls(STOCK)
    assert [call for call in calls(vars(callbacks)) if call in (*HOOKS, *LIST_HOOKS)] == theirs
    assert theirs.count("on_train_batch_end") == 6


def test_mocks_beside_a_backup_and_early_stopping_disturb_nothing(make_model, data, tmp_path):
    """They have every attribute that a callback of fitwatch's has."""
    mocks = [
        mock.MagicMock(spec=cls)
        for cls in (callbacks.EarlyStopping, callbacks.CSVLogger, callbacks.TensorBoard)
    ]
    bare = mock.MagicMock()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=1)
    history = callbacks.LossHistory()
    with fitwatch.enabled():
        for _ in range(2):
            made = [
                *mocks,
                bare,
                backup,
                plateau,
                history,
                callbacks.TensorBoard(tmp_path / "logs"),
            ]
            make_model().fit(*data, epochs=2, batch_size=20, verbose=0, callbacks=made)
    assert bare.on_train_batch_end.call_count == 2 * 3
    assert len(history.losses) == 2 * 3


@pytest.mark.parametrize("name", ["EarlyStopping", "LossHistory", "TerminateOnNaN"])
def test_a_wrapped_hook_of_ours_is_called(name, make_model, data):
    """On the instance, and on the class."""
    cls = getattr(callbacks, name)
    callback = cls("loss", patience=9, unit="batch") if name == "EarlyStopping" else cls()
    called = []

    def wrapper(function, kind):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            called.append(kind)
            return function(*args, **kwargs)

        return wrapped

    with fitwatch.enabled():
        callback.on_train_batch_end = wrapper(callback.on_train_batch_end, "instance")
        make_model().fit(*data, batch_size=20, verbose=0, callbacks=[callback])
        assert called == ["instance"] * 3
        del callback.on_train_batch_end, called[:]
        hook = wrapper(cls.on_train_batch_end, "class")
        with mock.patch.object(cls, "on_train_batch_end", hook):
            make_model().fit(*data, batch_size=20, verbose=0, callbacks=[callback])
        assert called == ["class"] * 3
    if name == "LossHistory":
        assert len(callback.losses) == 3


def test_a_hook_taken_from_another_callback_is_that_one_s(make_model, data):
    one, other = callbacks.LossHistory(), callbacks.TerminateOnNaN()
    seen = []
    # What its default hook of the newer name calls.
    other.on_batch_end = lambda batch, logs: seen.append(batch)
    one.on_train_batch_end = other.on_train_batch_end
    with fitwatch.enabled():
        make_model().fit(*data, batch_size=20, verbose=0, callbacks=[one])
    assert seen == [0, 1, 2]


def test_a_wrapped_part_of_a_rule_is_asked(make_model, data):
    """Keras's own code decides then, which calls it."""
    asked = []

    def wrapped(function):
        @functools.wraps(function)
        def ask(self, *args):
            asked.append(args)
            return function(self, *args)

        return ask

    cls = callbacks.EarlyStopping
    patch = mock.patch.object(cls, "_is_improvement", wrapped(cls._is_improvement))
    with patch, fitwatch.enabled():
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[cls("loss", patience=5)])
    assert len(asked) == 3


def test_a_class_of_keras_that_other_code_has_changed_keeps_its_name(make_model, data):
    """Before `enable()`: ours has hooks of its own, which would pass the change by."""
    stock = STOCK["EarlyStopping"]
    with traced(stock, ["on_epoch_end"]) as called, fitwatch.enabled():
        assert keras.callbacks.EarlyStopping is stock
        assert keras.callbacks.ReduceLROnPlateau is callbacks.ReduceLROnPlateau
        stopping = keras.callbacks.EarlyStopping("loss", patience=5)
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[stopping])
    assert called == {"on_epoch_end": 3}
    with fitwatch.enabled():
        assert keras.callbacks.EarlyStopping is callbacks.EarlyStopping


def test_a_changed_history_is_the_one_that_fit_adds(make_model, data):
    stock = STOCK["History"]
    with traced(stock, ["on_epoch_end"]) as called, fitwatch.enabled():
        history = make_model().fit(*data, epochs=2, verbose=0)
    assert type(history) is stock
    assert called == {"on_epoch_end": 2}


def test_a_tool_that_has_replaced_fit_before_is_left_in_place(make_model, data):
    """MLflow's autologging puts a `fit` into `keras.Model`, in front of the trainer's."""
    called = []

    def fit(self, *args, **kwargs):
        called.append(type(self).__name__)
        return original(self, *args, **kwargs)

    original = keras.Model.fit
    keras.Model.fit = fit
    try:
        with fitwatch.enabled():
            history = make_model().fit(*data, verbose=0)
            assert isinstance(history, callbacks.History)
        assert vars(keras.Model)["fit"] is fit
    finally:
        del keras.Model.fit
    assert called == ["Sequential"]
    assert keras.Model.fit is original


WRONG = {
    "TerminateOnNaN": (callbacks.TerminateOnNaN, r"got the class TerminateOnNaN\. Write Termin"),
    "Keras's class": (STOCK["EarlyStopping"], r"got the class EarlyStopping\. Write EarlyStopping"),
    "text": ("EarlyStopping", r"got 'EarlyStopping'\. Write keras\.callbacks\.EarlyStopping\("),
    "number": (3, r"must be a keras\.callbacks\.Callback; got 3"),
    "function": (lambda epoch, logs: None, r"LambdaCallback\(on_epoch_end="),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_item_that_is_no_callback_is_named(what, make_model, data):
    item, message = WRONG[what]
    model = make_model()
    with fitwatch.enabled(), pytest.raises(TypeError, match=rf"callbacks\[1\] .*{message}"):
        model.fit(*data, verbose=0, callbacks=[callbacks.History(), item])
    with pytest.raises(TypeError, match=message):
        callbacks.CallbackList().append(item)


def test_an_object_that_has_all_methods_of_a_callback_is_one(make_model, data):
    class Duck:
        def __init__(self):
            self.called = []

        def __getattr__(self, name):
            if name.startswith(("on_", "set_")):
                return lambda *args, **kwargs: self.called.append(name)
            raise AttributeError(name)

    duck = Duck()
    with fitwatch.enabled():
        make_model().fit(*data, batch_size=20, verbose=0, callbacks=[duck])
    assert duck.called.count("on_train_batch_end") == 3
