"""EarlyStopping and ReduceLROnPlateau in batches: subclasses, attributes, states, time."""

import copy
import json
import math
import pickle
import time

import keras
import numpy as np
import pytest
import replay
from batch_losses import BACKEND, dense, numbers
from test_batch_monitors import Model, by_hand

from fitwatch.callbacks import CallbackList, EarlyStopping, LossHistory, ReduceLROnPlateau

X, Y = numbers(64)


def seeded(**options):
    keras.utils.set_random_seed(1)
    return dense(**options)


def fit(callbacks, compiled=True, model=None, steps=1, **options):
    model = model or seeded(steps_per_execution=steps)
    if compiled:
        callbacks = CallbackList(callbacks, add_history=True, model=model)
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, callbacks=callbacks, **options)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("options", [{}, {"unit": "batch", "patience": 10**6}])
@pytest.mark.parametrize("base", [EarlyStopping, ReduceLROnPlateau])
def test_hooks_of_subclasses_are_called(base, options, compiled):
    """Those of the old name, and those of a mixin that comes behind."""
    called = []

    class Old(base):
        def on_batch_end(self, batch, logs=None):
            called.append("old")

    class Behind(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            called.append("behind")

    class Mixed(base, Behind):
        pass

    monitors = [Old("loss", **options), Mixed("loss", **options)]
    assert not any(monitor.async_safe for monitor in monitors)
    fit(monitors, compiled)
    assert called == ["old", "behind"] * 32


def test_names_of_a_subclass_are_its_own():
    class Mine(ReduceLROnPlateau):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.reductions, self.unit, self.max_time = 0, "minutes", 1e-9

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            self.reductions += 1

    class Stops(EarlyStopping):
        unit, max_time, stop_reason = "minutes", 1e-9, "mine"

    mine, stops = Mine("loss"), Stops("loss", patience=5)
    history = fit([mine, stops], epochs=3)
    assert mine.reductions == len(history.epoch) == 3
    assert stops.stop_reason == "mine"


def test_an_unknown_direction_is_not_that_of_the_neighbour():
    for names in (["f1", "loss"], ["loss", "f1"]):
        stopping = EarlyStopping(names, patience=3)
        stopping.set_model(Model())
        stopping.on_train_begin()
        with pytest.raises(ValueError, match="monitor=f1"):
            stopping.on_epoch_end(0, {"f1": 0.5, "loss": 0.5})


def test_a_state_after_a_stop_goes_on():
    one = EarlyStopping("loss", unit="batch", patience=3)
    by_hand(one, [{"loss": 1.0}] * 20)
    assert one.stopped_batch == 3
    other = EarlyStopping("loss", unit="batch", patience=3, divergence_threshold=10)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    seen, model = by_hand(other, [{"loss": math.nan}] * 20)
    assert model.stop_training
    assert seen == 0


class Remakes(keras.callbacks.Callback):
    """Makes a train function, as gradual unfreezing does."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.make_train_function(force=True)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("first", [True, False])
def test_a_new_train_function_leaves_nothing_stale(first, compiled):
    history, remakes = LossHistory(), Remakes()
    stopping = EarlyStopping("loss", unit="batch", patience=10**6)
    callbacks = [remakes, stopping, history] if first else [stopping, history, remakes]
    expected = LossHistory()
    fit([expected], epochs=3, batch_size=8)
    if first:
        fit(callbacks, compiled, epochs=3, batch_size=8)
        np.testing.assert_array_equal(history.losses, expected.losses)
        assert history.kind == "batch"
    else:
        # Too late for that epoch: it has running means, and a warning says so.
        with pytest.warns(UserWarning, match="was replaced in the middle of an epoch"):
            fit(callbacks, compiled, epochs=3, batch_size=8)
        assert history.kind == "running"
        assert len(history.losses) == 24
        same = np.r_[0:8, 16:24]
        np.testing.assert_array_equal(history.losses[same], expected.losses[same])
    assert stopping.best == pytest.approx(history.losses.min())


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has one step only on torch")
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
def test_the_best_batch_and_the_last_one_in_one_call(compiled, capsys):
    losses = LossHistory()
    fit([losses], steps=8)
    values = losses.losses.astype(float)
    for patience in (2, 3):
        stopped = replay.stopped_at(values, patience=patience)
        best = int(np.argmin(values[: stopped + 1]))
        taken = []

        class Weights(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None, taken=taken):
                taken.append(self.model.get_weights())

        stopping = EarlyStopping(
            "loss", unit="batch", patience=patience, restore_best_weights=True, verbose=1
        )
        model = seeded(steps_per_execution=8)
        fit([Weights(), stopping], compiled, model=model)
        assert (stopping.stopped_batch, stopping.best_batch) == (stopped, best)
        for ours, theirs in zip(model.get_weights(), taken[best // 8], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert f"the best batch: Epoch 1, batch {best + 1}." in capsys.readouterr().out


@pytest.mark.parametrize("compiled", [True, False])
def test_one_of_several_that_is_missing_is_named(compiled):
    stopping = EarlyStopping(["loss", "acuracy"], mode=["min", "max"], unit="batch", patience=3)
    with pytest.warns(UserWarning, match="'acuracy' is not available") as caught:
        by_hand(stopping, [{"loss": 1.0, "accuracy": 0.5}] * 9, compiled)
    assert len(caught) == 1
    assert stopping.wait == 8


@pytest.mark.parametrize("compiled", [True, False])
def test_the_time_names_the_batch_that_was_judged_last(compiled):
    stopping = EarlyStopping("loss", unit="batch", patience=10**6, max_time=1e-9)
    seen, _ = by_hand(stopping, [{"loss": 1.0}] * 200, compiled)
    assert stopping.stopped_batch == seen >= 0
    stopping.load_state_dict(stopping.state_dict())


def test_the_time_is_over_and_nothing_else_is_the_reason(capsys):
    stopping = EarlyStopping("loss", patience=1, max_time=0.05, verbose=1)
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    stopping.on_epoch_begin(0)
    stopping.on_epoch_end(0, {"loss": 1.0})
    stopping.on_epoch_begin(1)
    time.sleep(0.06)
    stopping.on_train_batch_end(3, {"loss": 1.0})
    assert model.stop_training
    stopping.on_epoch_end(1, {"loss": 1.0})
    stopping.on_train_end()
    assert stopping.stop_reason == "0.05 seconds have passed"
    said = capsys.readouterr().out
    assert said == "Epoch 2, batch 4: early stopping, 0.05 seconds have passed\n"
    elapsed = stopping.state_dict()["_fitwatch_elapsed"]
    time.sleep(0.02)
    assert stopping.state_dict()["_fitwatch_elapsed"] == elapsed


@pytest.mark.parametrize("attribute", ["patience", "best"])
def test_what_the_core_cannot_hold_is_refused_at_once(attribute):
    stopping = EarlyStopping("loss", unit="batch")
    with pytest.raises(ValueError, match=f"{attribute} must be a number"):
        setattr(stopping, attribute, "high" if attribute == "best" else 2.5)
    stopping.best = np.float32(0.5)
    assert stopping.best == 0.5


def test_attributes_are_up_to_date_when_they_are_read():
    seen = []
    stopping = EarlyStopping("loss", unit="batch", patience=10**6)

    class Reads(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((stopping.best, stopping.wait))

    history = LossHistory()
    fit([history, stopping, Reads()])
    best = np.minimum.accumulate(history.losses.astype(float))
    assert [value for value, _ in seen] == list(best)


def test_a_rate_that_cannot_be_reduced_starts_no_rest():
    plateau = ReduceLROnPlateau("loss", unit="batch", patience=2, cooldown=5, min_lr=1.0)
    by_hand(plateau, [{"loss": 1.0}] * 5)
    assert plateau.cooldown_counter == 0


def test_the_drop_is_drawn_where_the_rate_changed():
    history = LossHistory()
    plateau = ReduceLROnPlateau("loss", unit="batch", patience=3, min_delta=100)
    steps = 1 if BACKEND == "torch" else 8
    model = dense(steps_per_execution=steps)
    callbacks = CallbackList([history, plateau], add_history=True, model=model, max_lag=0)
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=callbacks)
    drops = [batch for batch, _, _ in history._fitwatch.record.rate_drops]
    # After the call in which it was decided.
    assert drops == [batch // steps * steps + steps for batch in plateau.reductions]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_fitwatch_progress", []),
        ("_fitwatch_progress", [[1.0, 0, False, 0.0, 0.0]] * 2),
        ("_fitwatch_progress", [[1.0, 2**70, False, 0.0, 0.0]]),
        ("_fitwatch_progress", [[1.0, math.inf, False, 0.0, 0.0]]),
        ("_fitwatch_progress", [[1.0, 1.7, False, 0.0, 0.0]]),
        ("_fitwatch_progress", [[1.0, 1, "x", 0.0, 0.0]]),
        ("_fitwatch_progress", [[1.0, 1, False, 0.0, -1.0]]),
        ("_fitwatch_progress", [[1.0, 1, False]]),
        ("_fitwatch_elapsed", 2**2000),
        ("_fitwatch_elapsed", -1),
        ("best", 2**2000),
        ("wait", 2.5),
        ("stopped_batch", -1),
    ],
)
def test_a_damaged_state_changes_nothing(key, value):
    stopping = EarlyStopping("loss", unit="batch", halflife=3, patience=10**6)
    by_hand(stopping, [{"loss": loss} for loss in (3.0, 2.0, 4.0)])
    before = stopping.state_dict()
    with pytest.raises(ValueError, match="state of EarlyStopping"):
        stopping.load_state_dict({**before, key: value})
    assert stopping.state_dict() == before


@pytest.mark.parametrize(
    "value", [{}, "12", [1], [1, 2, 3], [math.nan, 1.0], [1.0, -1.0], [1, "x"]]
)
def test_a_damaged_mean_is_refused(value):
    plateau = ReduceLROnPlateau("loss", unit="batch", halflife=3)
    with pytest.raises(ValueError, match="_fitwatch_mean must be"):
        plateau.load_state_dict({**plateau.state_dict(), "_fitwatch_mean": value})


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies_have_the_state(copied):
    stopping = EarlyStopping(
        ["loss", "mae"], mode="min", unit="batch", halflife=3, patience=10**6, max_time=10**6
    )
    by_hand(stopping, [{"loss": loss, "mae": 1.0} for loss in (3.0, 2.0, 4.0)])
    stopping.wait = -5
    stopping.set_model(None)  # which is not what is copied here
    twin = copied(stopping)
    assert twin.state_dict() == stopping.state_dict()
    assert twin.state_dict()["_fitwatch_seen"] == 3
    other = EarlyStopping(["loss", "mae"], unit="batch", halflife=3, max_time=10**6)
    other.load_state_dict(stopping.state_dict())
    assert other.state_dict() == stopping.state_dict()
