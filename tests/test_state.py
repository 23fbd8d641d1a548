"""`state_dict()` and `load_state_dict()`."""

import contextlib
import json
import math

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

# That of `refuse`.
pytestmark = pytest.mark.filterwarnings("ignore:BlockLogger")


def refuse(block):
    raise OSError("blocks wait")


MAKERS = {
    "BlockLogger": lambda: callbacks.BlockLogger(refuse, background=False),
    "EarlyStopping": lambda: callbacks.EarlyStopping("loss", patience=3),
    "ReduceLROnPlateau": lambda: callbacks.ReduceLROnPlateau("loss", patience=2, cooldown=2),
    "ModelCheckpoint": lambda: callbacks.ModelCheckpoint(
        "best.weights.h5", "loss", save_best_only=True, save_weights_only=True
    ),
    "LearningRateScheduler": lambda: callbacks.LearningRateScheduler(
        lambda step, rate: rate, unit="batch"
    ),
    "History": callbacks.History,
    "LossHistory": callbacks.LossHistory,
    "SpikeDetection": callbacks.SpikeDetection,
    "TensorBoard": callbacks.TensorBoard,
    "Validation": lambda: callbacks.Validation(
        every=1, validation_data=(np.ones((2, 2)), np.ones((2, 1))), name="test"
    ),
}

DAMAGED_DUE = {
    "is_put_off": 1,
    "has_judged": False,
    "brought": [],
    "lacked": [],
    "unjudged": [],
}

each_class = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture(scope="module")
def model():
    """One for all: what a backend has compiled is used again."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=(24, 2))
    return x, x.sum(axis=1)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fitwatch._sinks.delivery.LAST_PAUSE", 0)


class Takes(keras.callbacks.Callback):
    """Takes a callback's state at the end of an epoch."""

    def __init__(self, callback, epoch):
        super().__init__()
        self.callback, self.epoch = callback, epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.state = self.callback.state_dict()


def used(make, model, data, epochs=3):
    """A callback that has seen some epochs."""
    callback = make()
    takes = Takes(callback, epochs - 1)
    with fitwatch.enabled():
        model.fit(*data, epochs=epochs, verbose=0, callbacks=[callback, takes])
    return callback, takes.state


def test_every_class_with_a_state_is_here():
    stateful = {n for n in callbacks.__all__ if hasattr(getattr(callbacks, n), "state_dict")}
    assert stateful == set(MAKERS)


@each_class
def test_a_state_goes_through_json_and_back(make, model, data):
    _, state = used(make, model, data)
    text = json.dumps(state, allow_nan=False)
    other = make()
    assert other.state_dict() != state
    other.load_state_dict(json.loads(text))
    assert other.state_dict() == state
    assert state["class"] == type(other).__name__
    assert state["version"] == 1


@each_class
def test_a_state_is_a_copy(make, model, data):
    callback, _ = used(make, model, data)
    state = callback.state_dict()
    before = json.dumps(state)
    other = make()
    other.load_state_dict(state)
    model.fit(*data, epochs=2, verbose=0, callbacks=[other])
    assert json.dumps(state) == before


@each_class
@pytest.mark.parametrize("when", ["before", "earlier in the list", "later in the list"])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_loaded_state_outlives_the_beginning_of_a_fit(make, model, data, when, compiled):
    """And is gone in the fit after that."""
    _, state = used(make, model, data)
    other = make()
    found = []

    class Loads(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            if not found:
                other.load_state_dict(state)

    class Looks(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            found.append(other.state_dict())

    listed = {
        "before": [other, Looks()],
        "earlier in the list": [Loads(), other, Looks()],
        "later in the list": [other, Loads(), Looks()],
    }[when]
    if when == "before":
        other.load_state_dict(state)
    for _ in range(2):
        with fitwatch.enabled() if compiled else contextlib.nullcontext():
            model.fit(*data, verbose=0, callbacks=listed)
    if isinstance(other, callbacks.LossHistory):  # the epoch that has just begun
        assert found[0].pop("epochs")[1:] == state.pop("epochs")[1:]
        assert found[1].pop("epochs") == [[0, 0, None]]
        found[1]["epochs"] = []
    assert found[0] == state
    kept = isinstance(other, (callbacks.ModelCheckpoint, callbacks.History))  # as Keras's do
    assert (found[1] == make().state_dict()) is not kept


def test_a_run_in_two_parts_decides_as_one(stand_in):
    series = np.random.default_rng(5).normal(1.0, 0.3, size=200).round(2).tolist()
    for cut in range(1, 40, 3):
        runs = []
        for parts in ([series], [series[:cut], series[cut:]]):
            stopping = callbacks.EarlyStopping("loss", patience=12, min_delta=0.05)
            plateau = callbacks.ReduceLROnPlateau("loss", patience=3, factor=0.9, cooldown=2)
            model, epoch, rates = stand_in(), 0, []
            for part in parts:
                if epoch:
                    states = [json.loads(json.dumps(c.state_dict())) for c in (stopping, plateau)]
                    stopping = callbacks.EarlyStopping("loss", patience=12, min_delta=0.05)
                    plateau = callbacks.ReduceLROnPlateau(
                        "loss", patience=3, factor=0.9, cooldown=2
                    )
                    stopping.load_state_dict(states[0])
                    plateau.load_state_dict(states[1])
                for callback in (stopping, plateau):
                    callback.set_model(model)
                    callback.on_train_begin()
                for value in part:
                    for callback in (stopping, plateau):
                        callback.on_epoch_begin(epoch)
                        callback.on_epoch_end(epoch, {"loss": value})
                    rates.append(model.optimizer.learning_rate)
                    epoch += 1
                    if model.stop_training:
                        break
                if model.stop_training:
                    break
            runs.append((epoch, rates, stopping.state_dict(), plateau.state_dict()))
        assert runs[0] == runs[1]
        assert len(set(runs[0][1])) > 3


@each_class
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda state: None, TypeError, "must be a dict"),
        (lambda state: {}, ValueError, "got one of None"),
        (lambda state: {**state, "class": "Other"}, ValueError, "got one of 'Other'"),
        (lambda state: {**state, "version": 2}, ValueError, "version 2; this .* version 1"),
        (lambda state: {**state, "version": None}, ValueError, "version None"),
        (
            lambda state: {k: v for k, v in state.items() if k in ("class", "version")},
            ValueError,
            "damaged: it has no",
        ),
        (
            lambda state: {**dict.fromkeys(state, "?!"), "class": state["class"], "version": 1},
            ValueError,
            r"damaged: \w+ must be .*; got '\?!'",
        ),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_is_changed(make, change, error, message):
    callback = make()
    before = callback.state_dict()
    with pytest.raises(error, match=f"^state .*{message}"):
        callback.load_state_dict(change(before))
    assert callback.state_dict() == before
    assert callback._fitwatch.state.loaded is None


@pytest.mark.parametrize(
    ("name", "key", "bad"),
    [
        *(("EarlyStopping", "wait", bad) for bad in (None, "nan", 1.5, 10**30, True, [1])),
        *(("EarlyStopping", "best", bad) for bad in ("low", True, [1.0])),
        *(("EarlyStopping", "_fitwatch_reached", bad) for bad in (None, 0.5, ["low"], {})),
        ("ModelCheckpoint", "_last_batch_seen", -1),
        *(("ModelCheckpoint", "_fitwatch_due_saves", bad) for bad in (None, {}, DAMAGED_DUE)),
        *(("LossHistory", "first", bad) for bad in (-4, None)),
        *(("LossHistory", "losses", bad) for bad in ("AAAA", "?", 3, None)),
        *(("LossHistory", "epochs", bad) for bad in ([[0, 5, "x"]], [1], 3, {"a": 1})),
        *(("History", "history", bad) for bad in ({"loss": 3}, [], None)),
        *(("History", "epoch", bad) for bad in (["x"], 3, [-1])),
        *(("LearningRateScheduler", "step", bad) for bad in (None, "inf", -3, 0.5)),
        *(("TensorBoard", "version", bad) for bad in (True, 1.0, "1")),
    ],
)
def test_a_damaged_value_is_refused_and_nothing_is_changed(name, key, bad, model, data):
    callback, _ = used(MAKERS[name], model, data)
    before = callback.state_dict()
    with pytest.raises(ValueError, match=f"^state of {name} .*{key}"):
        callback.load_state_dict({**before, key: bad})
    assert callback.state_dict() == before


def test_values_that_json_does_not_know():
    stopping = callbacks.EarlyStopping("loss", mode="max")
    stopping.best = -math.inf
    history = callbacks.History()
    history.history = {"a": [np.float32(0.5), math.nan, np.array([1.0, math.inf]), None, "text"]}
    for callback, copy in ((stopping, callbacks.EarlyStopping()), (history, callbacks.History())):
        copy.load_state_dict(json.loads(json.dumps(callback.state_dict(), allow_nan=False)))
    assert stopping.state_dict()["best"] == "-inf"
    copied = callbacks.EarlyStopping()
    copied.load_state_dict(stopping.state_dict())
    assert copied.best == -math.inf
    assert copy.history["a"][0] == 0.5
    assert math.isnan(copy.history["a"][1])
    assert copy.history["a"][2:] == [[1.0, math.inf], None, "text"]


def test_a_subclass_has_the_state_of_its_class():
    class Mine(callbacks.EarlyStopping):
        pass

    mine = Mine("loss")
    mine.wait = 3
    stock = callbacks.EarlyStopping("loss")
    stock.load_state_dict(mine.state_dict())
    assert stock.wait == 3


def test_batches_that_wait_are_in_the_state():
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    for batch in range(5):
        callback_list.on_train_batch_end(batch, {"loss": keras.ops.convert_to_tensor(0.5)})
    other = callbacks.LossHistory()
    other.load_state_dict(history.state_dict())
    assert other.losses.tolist() == [0.5] * 5


@pytest.mark.parametrize("name", ["History", "LossHistory", "LearningRateScheduler"])
def test_loops_that_count_with_numpy(name, model):
    callback = MAKERS[name]()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in np.arange(2):
        callback.on_epoch_begin(epoch)
        for batch in np.arange(3):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, {"loss": np.float32(0.5)})
        callback.on_epoch_end(epoch, {"loss": np.float32(0.5)})
    other = MAKERS[name]()
    other.load_state_dict(json.loads(json.dumps(callback.state_dict())))
    assert other.state_dict() == callback.state_dict()


def test_a_state_of_an_earlier_version_is_taken():
    """A state without the entries that later versions have added."""
    checkpoint = callbacks.ModelCheckpoint("x.keras", "loss", save_best_only=True)
    state = checkpoint.state_dict() | {"best": 0.5}
    del state["_fitwatch_due_saves"]
    checkpoint.load_state_dict(state)
    assert checkpoint.best == 0.5
    stopping = callbacks.EarlyStopping("loss")
    state = stopping.state_dict() | {"wait": 3}
    state["_fitwatch_progress"] = [[0.25, 3, False, 0.0, 0.0]]
    del state["_fitwatch_reached"]
    stopping.load_state_dict(state)
    assert (stopping.wait, stopping.best) == (3, 0.25)
