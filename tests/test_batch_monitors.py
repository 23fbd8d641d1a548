"""EarlyStopping and ReduceLROnPlateau in batches and over several metrics, against plain NumPy."""

import datetime
import math
import time

import keras
import numpy as np
import pytest
import replay
from batch_losses import BACKEND, dense, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from warned import no_warnings

from fitwatch.callbacks import CallbackList, EarlyStopping, LossHistory, ReduceLROnPlateau

EPOCH = 7  # batches


class Model:
    """The part of a model that a hand-written loop needs."""

    def __init__(self):
        self.stop_training = False
        self.metrics = []
        self.optimizer = type("Optimizer", (), {"learning_rate": 1.0})()
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def by_hand(callback, rows, compiled_list=False):
    """Passes rows of batches to a callback, as a user's loop does; returns the batches it saw."""
    model = Model()
    if compiled_list:
        hooks = CallbackList([callback], model=model)
    else:
        hooks = callback
        hooks.set_model(model)
    hooks.on_train_begin()
    for batch, logs in enumerate(rows):
        if batch % EPOCH == 0:
            if batch:
                hooks.on_epoch_end(batch // EPOCH - 1, {})
            hooks.on_epoch_begin(batch // EPOCH)
        model.weights = batch
        hooks.on_train_batch_begin(batch % EPOCH)
        hooks.on_train_batch_end(batch % EPOCH, logs)
        if model.stop_training:
            break
    hooks.on_epoch_end(batch // EPOCH, {})
    hooks.on_train_end()
    return batch, model


losses = st.lists(
    st.one_of(st.floats(0, 4, width=32), st.sampled_from([math.nan, math.inf, 1.0])),
    min_size=1,
    max_size=60,
)
smoothing = st.sampled_from([None, 0.5, 3.0, 20.0])
delta = st.sampled_from([(0.0, "abs"), (0.3, "abs"), (0.1, "rel")])


@given(losses, st.integers(0, 9), smoothing, delta, st.integers(0, 12), st.booleans())
@settings(max_examples=150, deadline=None)
def test_stops_at_the_batch_that_numpy_says(values, patience, halflife, least, start, compiled):
    stopping = EarlyStopping(
        "loss",
        unit="batch",
        patience=patience,
        halflife=halflife,
        min_delta=least[0],
        min_delta_mode=least[1],
        start_from_epoch=start,
    )
    by_hand(stopping, [{"loss": value} for value in values], compiled)
    expected = replay.stopped_at(
        values,
        patience=patience,
        min_delta=least[0],
        relative=least[1] == "rel",
        halflife=halflife,
        start=start,
    )
    assert stopping.stopped_batch == expected
    if expected is not None:
        assert stopping.stopped_epoch == expected // EPOCH
        assert "loss has not improved for" in stopping.stop_reason


@given(losses, st.integers(0, 9), st.integers(0, 9), smoothing, delta, st.booleans())
@settings(max_examples=150, deadline=None)
def test_reduces_at_the_batches_that_numpy_says(
    values, patience, cooldown, halflife, least, compiled
):
    plateau = ReduceLROnPlateau(
        "loss",
        unit="batch",
        factor=0.999,
        patience=patience,
        cooldown=cooldown,
        halflife=halflife,
        min_delta=least[0],
        min_delta_mode=least[1],
    )
    _, model = by_hand(plateau, [{"loss": value} for value in values], compiled)
    assert plateau.reductions == replay.reduced_at(
        values,
        patience=patience,
        cooldown=cooldown,
        min_delta=least[0],
        relative=least[1] == "rel",
        halflife=halflife,
    )
    rate = 0.999 ** len(plateau.reductions)
    assert model.optimizer.learning_rate == pytest.approx(rate)


rows = st.lists(st.tuples(*[st.floats(0, 4, width=16)] * 3), min_size=1, max_size=30)


@given(
    rows, st.integers(0, 6), st.sampled_from(["all", "any"]), st.sampled_from(["epoch", "batch"])
)
@settings(max_examples=150, deadline=None)
def test_several_metrics_beside_one_each(values, patience, combine, unit):
    """All or any of three policies, each of which never stops by itself."""
    names, modes, deltas = ["loss", "acc", "mae"], ["min", "max", "min"], [0.0, 0.25, 0.5]
    stopping = EarlyStopping(
        names, mode=modes, min_delta=deltas, patience=patience, combine=combine, unit=unit
    )
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    for at, row in enumerate(values):
        logs = dict(zip(names, row, strict=True))
        if unit == "epoch":
            stopping.on_epoch_begin(at)
            stopping.on_epoch_end(at, logs)
        else:
            stopping.on_train_batch_end(at, logs)
        if model.stop_training:
            break
    expected = None
    for at in range(1, len(values)):
        stalled = []
        for column, (mode, least) in enumerate(zip(modes, deltas, strict=True)):
            best, since = None, 0
            for row in values[: at + 1]:
                value = row[column] * (1 if mode == "min" else -1)
                since = 0 if best is None or value + least < best else since + 1
                best = value if since == 0 else best
            stalled.append(since > 0 and since >= patience)
        if (all if combine == "all" else any)(stalled):
            expected = at
            break
    assert model.stop_training == (expected is not None)
    if expected is not None:
        assert at == expected
        stopped = stopping.stopped_epoch if unit == "epoch" else stopping.stopped_batch
        assert stopped == expected


def test_says_where_and_why(capsys):
    stopping = EarlyStopping("loss", unit="batch", patience=3, verbose=1, restore_best_weights=True)
    seen, model = by_hand(stopping, [{"loss": loss} for loss in [3, 2, 1, 4, 4, 2, 1, 1, 1]])
    assert seen == 5
    assert capsys.readouterr().out == (
        "Epoch 1, batch 6: early stopping, loss has not improved for 3 batches\n"
        "Restoring model weights from the best batch: Epoch 1, batch 3.\n"
    )
    assert (stopping.best, stopping.best_batch, stopping.best_epoch) == (1.0, 2, 0)
    assert model.weights == 2


def test_names_the_batch_within_its_epoch(capsys):
    by_hand(
        ReduceLROnPlateau("loss", unit="batch", patience=9, verbose=1),
        [{"loss": 1.0}] * 12,
    )
    assert capsys.readouterr().out == (
        "\nEpoch 2, batch 3: ReduceLROnPlateau reducing learning rate to 0.1.\n"
    )


def test_a_rate_at_its_minimum_starts_the_wait_over(monkeypatch):
    plateau = ReduceLROnPlateau("loss", unit="batch", patience=4, min_lr=1.0)
    asked = []
    act = plateau._fitwatch.act
    monkeypatch.setattr(plateau._fitwatch, "act", lambda *a: (asked.append(a[-1]), act(*a)))
    by_hand(plateau, [{"loss": 1.0}] * 14)
    assert asked == [4, 8, 12]
    assert plateau.reductions == []


def test_divergence_stops_at_once_and_says_so(capsys):
    stopping = EarlyStopping("loss", patience=9, divergence_threshold=10, verbose=1)
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, loss in enumerate([3.0, 9.0, 11.0]):
        assert not model.stop_training
        stopping.on_epoch_end(epoch, {"loss": loss})
    stopping.on_train_end()
    assert model.stop_training
    assert capsys.readouterr().out == "Epoch 3: early stopping, loss has diverged\n"
    for odd in (math.nan, math.inf):
        seen, _ = by_hand(
            EarlyStopping("loss", unit="batch", patience=9, divergence_threshold=10),
            [{"loss": loss} for loss in (1.0, 2.0, odd, 1.0)],
        )
        assert seen == 2


def test_divergence_of_one_of_several():
    stopping = EarlyStopping(
        ["loss", "acc"], mode=["min", "max"], patience=9, divergence_threshold=[None, 0.2]
    )
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    stopping.on_epoch_end(0, {"loss": 99.0, "acc": 0.5})
    assert not model.stop_training
    stopping.on_epoch_end(1, {"loss": 98.0, "acc": 0.1})
    assert model.stop_training
    assert stopping.stop_reason == "acc has diverged"


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("unit", ["epoch", "batch"])
def test_the_time_is_up(unit, compiled, capsys):
    stopping = EarlyStopping(
        "loss", patience=10**6, max_time=datetime.timedelta(seconds=0.05), unit=unit, verbose=1
    )

    def slow():
        for _ in range(400):
            time.sleep(0.002)
            yield {"loss": 1.0}

    seen, model = by_hand(stopping, slow(), compiled)
    assert model.stop_training
    assert 5 < seen < 200
    assert stopping.stop_reason == "0.05 seconds have passed"
    assert "early stopping, 0.05 seconds have passed" in capsys.readouterr().out


def test_the_best_weights_of_the_first_metric():
    stopping = EarlyStopping(
        ["loss", "mae"],
        mode="min",
        patience=2,
        combine="any",
        restore_best_weights=True,
    )
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, row in enumerate([(3, 1), (2, 1), (1, 1)]):
        model.weights = epoch
        stopping.on_epoch_end(epoch, dict(zip(("loss", "mae"), map(float, row), strict=True)))
    # The epoch that was best by the loss is the one at which the other metric has stalled.
    assert model.stop_training
    assert stopping.best_weights == stopping.best_epoch == 2


def test_a_missing_metric_waits_for_nobody():
    stopping = EarlyStopping(["loss", "val_loss"], mode="min", patience=2)
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    with pytest.warns(UserWarning, match="the monitored metric 'val_loss' is not available"):
        for epoch in range(8):
            stopping.on_epoch_end(epoch, {"loss": 1.0})
    assert not model.stop_training
    with pytest.warns(UserWarning, match="the monitored metric 'acc'") as caught:
        by_hand(EarlyStopping("acc", mode="max", unit="batch"), [{"loss": 1.0}] * 5, True)
    assert len(caught) == 1


def test_a_state_goes_on_where_it_was():
    rng = np.random.default_rng(3)
    values = rng.normal(size=60) + np.linspace(5, 3, 60)

    def made():
        return [
            EarlyStopping(
                ["loss", "mae"], mode="min", unit="batch", patience=12, halflife=5, combine="any"
            ),
            ReduceLROnPlateau("loss", unit="batch", patience=4, cooldown=3, halflife=3),
        ]

    def run(callbacks, part):
        model = Model()
        hooks = CallbackList(callbacks, model=model, max_lag=0)
        hooks.on_train_begin()
        hooks.on_epoch_begin(0)
        for at, value in enumerate(part):
            hooks.on_train_batch_end(at, {"loss": value, "mae": -value})
            if model.stop_training:
                break
        hooks.on_epoch_end(0, {})

    whole, first, second = made(), made(), made()
    run(whole, values)
    run(first, values[:9])
    for old, new in zip(first, second, strict=True):
        new.load_state_dict(old.state_dict())
    run(second, values[9:])
    assert second[0].stopped_batch == whole[0].stopped_batch is not None
    assert first[1].reductions + second[1].reductions == whole[1].reductions != []
    assert [c.state_dict() for c in second] == [c.state_dict() for c in whole]


class OwnRule(EarlyStopping):
    def _is_improvement(self, monitor_value, reference_value):
        return True


@pytest.mark.parametrize(
    ("options", "hook"),
    [({"unit": "batch"}, "on_train_batch_end"), ({"halflife": 3}, "on_epoch_end")],
)
def test_a_rule_of_ones_own_is_refused(options, hook):
    stopping = OwnRule("loss", **options)
    stopping.set_model(Model())
    stopping.on_train_begin()
    with pytest.raises(ValueError, match=r"OwnRule: .* overridden rule: _is_improvement\(\)"):
        getattr(stopping, hook)(0, {"loss": 1.0})


@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
def test_without_batches_a_stock_list_stays_asynchronous(cls):
    assert cls("loss").async_safe
    assert not cls("loss", unit="batch").async_safe


@pytest.mark.parametrize("steps", [1] if BACKEND == "torch" else [1, 4])
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
def test_weights_are_those_of_the_batch(steps, compiled):
    """On JAX, too, where the model's variables are those of the last sync."""
    x, y = numbers(64)
    taken = []

    class Weights(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            taken.append(self.model.get_weights())

    history = LossHistory()
    stopping = EarlyStopping(
        "loss", unit="batch", patience=5, restore_best_weights=True, min_delta=0.2
    )
    model = dense(steps_per_execution=steps)
    callbacks = [Weights(), history, stopping]
    if compiled:
        callbacks = CallbackList(callbacks, add_history=True, model=model)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0, callbacks=callbacks)
    expected = replay.stopped_at(history.losses, patience=5, min_delta=0.2)
    assert stopping.stopped_batch == expected is not None
    for ours, theirs in zip(model.get_weights(), taken[stopping.best_batch // steps], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pandas_smooths_the_same():
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=50)
    values[[3, 20]] = np.nan
    expected = pandas.Series(values).ewm(halflife=4).mean()
    np.testing.assert_allclose(replay.smoothed(values, 4), expected)


def test_an_infinite_patience_costs_no_warning():
    with no_warnings():
        by_hand(EarlyStopping("loss", unit="batch", patience=math.inf), [{"loss": 1.0}] * 9, True)
