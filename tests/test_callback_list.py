"""The compiled list beside Keras's: the same calls, in the same order and form."""

import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import backend_scalar

from fitwatch import callbacks

BATCH_HOOKS = [
    f"on_{kind}batch_{when}"
    for kind in ("train_", "test_", "predict_", "")
    for when in ("begin", "end")
]
EPOCH_HOOKS = ["on_epoch_begin", "on_epoch_end"]
BEGIN_HOOKS = [
    f"on_{kind}_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")
]


def plain(value):
    return dict(value) if isinstance(value, dict) else value


def recorder_of(hooks, log, name):
    """A callback that overrides some hooks and writes down how they were called."""

    def method(hook):
        def call(self, *args, **kwargs):
            log.append(
                (name, hook, [plain(a) for a in args], {k: plain(v) for k, v in kwargs.items()})
            )

        return call

    return type(name, (keras.callbacks.Callback,), {hook: method(hook) for hook in hooks})()


def both(make_callbacks, drive):
    """What two callback lists, Keras's and ours, do when they are driven alike."""
    logs = []
    for module in (keras.callbacks, callbacks):
        log = []
        callback_list = module.CallbackList(make_callbacks(log), async_safe=True)
        for callback in callback_list.callbacks:
            callback.async_safe = False  # no pool: one list has an order, the other had none
        callback_list._async_train = callback_list._async_test = False
        callback_list._async_predict = False
        drive(callback_list)
        logs.append(log)
    return logs


def everything(callback_list):
    logs = {"mae": backend_scalar(1.0), "loss": backend_scalar(2.0), "sub": {"b": 1, "a": "text"}}
    for kind in ("train", "test", "predict"):
        getattr(callback_list, f"on_{kind}_begin")()
        for epoch in range(2):
            if kind == "train":
                callback_list.on_epoch_begin(epoch)
            for batch in (0, 1, "two", None, np.int64(3)):
                getattr(callback_list, f"on_{kind}_batch_begin")(batch)
                getattr(callback_list, f"on_{kind}_batch_end")(batch, logs)
                callback_list.on_batch_begin(batch, logs)
                callback_list.on_batch_end(batch, logs=logs)
            if kind == "train":
                callback_list.on_epoch_end(epoch, logs)
        getattr(callback_list, f"on_{kind}_end")(logs)


@pytest.mark.parametrize("hooks", [*([hook] for hook in BATCH_HOOKS), BATCH_HOOKS, []], ids=str)
def test_calls_are_those_of_keras(hooks):
    def make(log):
        return [
            recorder_of([*hooks, *EPOCH_HOOKS], log, "first"),
            keras.callbacks.Callback(),
            recorder_of([*hooks, *BEGIN_HOOKS], log, "second"),
        ]

    theirs, ours = both(make, everything)
    assert ours == theirs
    assert ours


values = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-1000, 1000),
    # "nan" is a number to Keras, and equal to nothing.
    st.text(max_size=3).filter(lambda text: text.strip().lower() != "nan"),
    st.none(),
    st.booleans(),
    st.floats(width=32, allow_nan=False, allow_subnormal=False).map(backend_scalar),
    st.floats(width=32, allow_nan=False).map(np.float32),
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=2).map(tuple),
)
some_logs = st.recursive(
    st.dictionaries(st.text(max_size=2), values, max_size=4),
    lambda inner: st.dictionaries(st.text(max_size=2), values | inner, max_size=4),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | some_logs, max_size=4))
def test_logs_are_those_of_keras(batches):
    def drive(callback_list):
        for batch, logs in enumerate(batches):
            callback_list.on_train_batch_end(batch, logs)

    def make(log):
        return [recorder_of(["on_train_batch_end"], log, "user")]

    theirs, ours = both(make, drive)
    assert ours == theirs
    for (*_, their_call), (*_, our_call) in zip(theirs, ours, strict=True):
        assert list(our_call["logs"]) == list(their_call["logs"])
        for key, value in our_call["logs"].items():
            assert type(value) is type(their_call["logs"][key])


def test_it_is_one_of_keras():
    callback_list = callbacks.CallbackList([])
    assert isinstance(callback_list, keras.callbacks.CallbackList)
    assert type(callback_list.on_train_batch_end).__name__ == "builtin_function_or_method"


def test_a_hook_that_nobody_overrides_is_not_called():
    empty = {vars(keras.callbacks.Callback)[hook].__code__ for hook in BATCH_HOOKS}
    called = []

    def profile(frame, event, argument):
        if event == "call" and frame.f_code in empty:
            called.append(frame.f_code.co_name)

    callback_list = callbacks.CallbackList([keras.callbacks.Callback(), keras.callbacks.Callback()])
    sys.setprofile(profile)
    try:
        everything(callback_list)
        assert called == []
        keras.callbacks.Callback().on_train_batch_end(0)
        assert called == ["on_train_batch_end", "on_batch_end"]  # this is how it would be seen
    finally:
        sys.setprofile(None)


def test_hooks_of_an_instance_count():
    log = []
    patched = keras.callbacks.Callback()
    patched.on_train_batch_end = lambda batch, logs: log.append(("patched", batch, logs["loss"]))
    lambdas = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: log.append(("begin", batch)),
        on_train_batch_end=lambda batch, logs: log.append(("lambda", batch, logs["loss"])),
    )
    callback_list = callbacks.CallbackList([patched, lambdas])
    callback_list.on_train_batch_begin(3)
    callback_list.on_train_batch_end(3, {"loss": 1})
    assert log == [("begin", 3), ("patched", 3, 1.0), ("lambda", 3, 1.0)]


def test_a_hook_that_is_patched_in_counts_from_the_next_epoch():
    log = []
    patched = keras.callbacks.Callback()
    callback_list = callbacks.CallbackList([patched])
    callback_list.on_epoch_begin(0)
    callback_list.on_train_batch_end(0, {})
    patched.on_train_batch_end = lambda batch, logs: log.append(batch)
    callback_list.on_epoch_begin(1)
    callback_list.on_train_batch_end(1, {})
    assert log == [1]


@pytest.mark.parametrize(
    "change",
    [
        lambda callback_list, new: callback_list.callbacks.append(new),
        lambda callback_list, new: callback_list.append(new),
        lambda callback_list, new: callback_list.callbacks.__setitem__(0, new),
        lambda callback_list, new: setattr(callback_list, "callbacks", [new]),
        lambda callback_list, new: setattr(callback_list, "callbacks", (new,)),
    ],
)
def test_a_changed_list_is_noticed(change):
    log = []
    callback_list = callbacks.CallbackList([keras.callbacks.Callback()])
    callback_list.on_train_batch_end(0, {})
    change(callback_list, recorder_of(["on_train_batch_end"], log, "new"))
    callback_list.on_train_batch_end(1, {})
    callback_list.on_train_batch_end(2, {})
    assert [call[2] for call in log] == [[1], [2]]


def test_a_hook_of_a_subclass_comes_first():
    log = []

    class Mine(callbacks.CallbackList):
        def on_train_batch_end(self, batch, logs=None):
            log.append("mine")
            super().on_train_batch_end(batch, logs)

    mine = Mine([recorder_of(["on_train_batch_end", "on_train_batch_begin"], log, "user")])
    mine.on_train_batch_begin(0)
    mine.on_train_batch_end(1, {})
    assert [entry if entry == "mine" else entry[1] for entry in log] == [
        "on_train_batch_begin",
        "mine",
        "on_train_batch_end",
    ]


@pytest.mark.parametrize("depth", [1, 2])
def test_lists_may_be_nested(depth):
    log = []
    inner = callbacks.CallbackList([recorder_of(["on_train_batch_end"], log, "user")])
    outer = inner
    for module in [callbacks, keras.callbacks][:depth]:
        outer = module.CallbackList([outer])
        outer._async_train = False
    outer.on_train_batch_end(1, {"loss": 2})
    assert log == [("user", "on_train_batch_end", [1], {"logs": {"loss": 2.0}})]
