"""`EarlyStopping(stopping_threshold=)`: good enough, stop."""

import copy
import pickle
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from test_resumed_stops import NOTHING, run
from warned import no_warnings

import fitwatch
from fitwatch import callbacks

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Model:
    stop_training = False


def by_epochs(stopping, rows):
    """The epoch after which the callback stops a loop that is driven by hand, or None."""
    model = Model()
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, logs in enumerate(rows):
        stopping.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    stopping.on_train_end()
    return stopping.stopped_epoch if model.stop_training else None


def losses(*values):
    return [{"loss": value} for value in values]


def test_it_stops_at_once_and_says_so(capsys):
    stopping = callbacks.EarlyStopping("loss", patience=9, stopping_threshold=0.125, verbose=1)
    assert by_epochs(stopping, losses(3.0, float("nan"), 0.5, 0.125, 0.1)) == 3
    assert stopping.stop_reason == "loss has reached 0.125"
    assert capsys.readouterr().out == "Epoch 4: early stopping, loss has reached 0.125\n"
    assert (stopping.best, stopping.best_epoch) == (0.125, 3)
    # Patience is never exhausted in the first epoch, but a value is good enough.
    first = callbacks.EarlyStopping("loss", stopping_threshold=1)
    assert (by_epochs(first, losses(0.5)), first.stop_reason) == (0, "loss has reached 1")


def test_larger_is_better():
    stopping = callbacks.EarlyStopping("acc", mode="max", patience=9, stopping_threshold=0.9)
    assert by_epochs(stopping, [{"acc": value} for value in (0.5, 0.89, 0.95, 1.0)]) == 2


def test_a_divergence_is_the_reason_of_a_stop_that_has_two():
    stopping = callbacks.EarlyStopping(
        ["loss", "mae"],
        mode="min",
        combine="any",
        patience=9,
        divergence_threshold=[10, None],
        stopping_threshold=[None, 1],
    )
    assert by_epochs(stopping, [{"loss": 11.0, "mae": 0.5}]) == 0
    assert stopping.stop_reason == "loss has diverged"


@pytest.mark.parametrize(
    ("combine", "epoch", "reason"),
    [("all", 2, "loss has reached 1, acc has reached 0.9"), ("any", 0, "acc has reached 0.9")],
)
def test_several_metrics(combine, epoch, reason):
    stopping = callbacks.EarlyStopping(
        ["loss", "acc", "mae"],
        mode=["min", "max", "min"],
        patience=9,
        combine=combine,
        stopping_threshold=[1, 0.9, None],
    )
    rows = [(2.0, 0.95), (1.0, 0.85), (0.5, 0.9), (0.5, 0.9)]
    rows = [{"loss": loss, "acc": acc, "mae": 7.0} for loss, acc in rows]
    assert by_epochs(stopping, rows) == epoch
    assert stopping.stop_reason == reason


def test_the_next_fit_starts_over():
    stopping = callbacks.EarlyStopping("loss", patience=9, stopping_threshold=1)
    for _ in range(2):
        assert by_epochs(stopping, losses(3.0, 0.5, 0.4)) == 1
    assert by_epochs(stopping, losses(3.0, 2.0)) is None
    assert stopping.stop_reason is None


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_it_too(again):
    stopping = callbacks.EarlyStopping("loss", patience=9, stopping_threshold=1)
    by_epochs(stopping, losses(3.0, 2.0))
    stopping.set_model(None)
    assert by_epochs(again(stopping), losses(3.0, 0.5, 0.4)) == 1


class Values(keras.callbacks.Callback):
    """Writes values into the logs of epochs, before the monitor reads them."""

    def __init__(self, values):
        super().__init__()
        self.values = iter(values)
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        logs["value"] = next(self.values)
        self.weights.append(self.model.get_weights())


def make_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("compiled", [True, False])
def test_the_best_weights_are_restored_as_usual(compiled):
    """The best epoch is one that counts, and here the one that stops."""
    values = Values([3.0, 1.0, 2.0, 2.0])
    stopping = callbacks.EarlyStopping(
        ["value", "loss"],
        mode="min",
        patience=9,
        combine="all",
        stopping_threshold=[2, 1e9],
        restore_best_weights=True,
        start_from_epoch=2,
    )
    model = make_model()
    with fitwatch.enabled() if compiled else nullcontext():
        history = model.fit(X, Y, epochs=4, verbose=0, callbacks=[values, stopping])
    assert history.epoch == [0, 1, 2]
    assert stopping.best == 2.0
    np.testing.assert_array_equal(model.get_weights()[0], values.weights[2][0])


@pytest.mark.parametrize("compiled", [True, False])
def test_batches(compiled):
    keras.utils.set_random_seed(3)
    stopping = callbacks.EarlyStopping(
        "loss", unit="batch", patience=10**6, halflife=2, stopping_threshold=0.05
    )
    history = callbacks.LossHistory()
    model = make_model()
    model.optimizer.learning_rate = 0.1
    with fitwatch.enabled(max_lag=0) if compiled else nullcontext():
        model.fit(
            X, Y, batch_size=8, epochs=40, shuffle=False, verbose=0, callbacks=[history, stopping]
        )
    smoothed = smoothed_by_definition(history.losses, 2)
    (expected, *_) = np.flatnonzero(smoothed <= 0.05)
    assert 5 < expected < 199
    assert stopping.stopped_batch == expected
    assert stopping.stop_reason == "loss has reached 0.05"


def smoothed_by_definition(values, halflife):
    found, mean, weight, keeps = [], 0.0, 0.0, 0.5 ** (1 / halflife)
    for value in np.asarray(values, "float64"):
        weight = weight * keeps + 1
        mean += (value - mean) / weight
        found.append(mean)
    return np.array(found)


@pytest.mark.parametrize(("threshold", "expected"), [(2, []), (1.5, [2]), (None, [2, 3, 4])])
def test_a_resumed_run(threshold, expected, tmp_path):
    """One that had stopped trains nothing, unless its threshold is another one now."""

    def stopping(threshold):
        return callbacks.EarlyStopping(
            "value", patience=2, mode="min", stopping_threshold=threshold
        )

    assert run(tmp_path, stopping(2))[0] == [0, 1]
    with NOTHING if not expected else no_warnings():
        epochs, again, _ = run(tmp_path, stopping(threshold))
    assert epochs == expected
    if not expected:
        assert (again.best, again.stopped_epoch) == (2.0, 1)


def test_one_that_was_stopped_by_its_first_epoch(tmp_path):
    def stopping(threshold):
        return callbacks.EarlyStopping(
            "value", patience=9, mode="min", stopping_threshold=threshold
        )

    assert run(tmp_path, stopping(3))[0] == [0]
    with pytest.warns(UserWarning, match="value has reached 3. Nothing is trained"):
        assert run(tmp_path, stopping(3))[0] == []
    epochs, again, _ = run(tmp_path, stopping(0), epochs=3)
    assert (epochs, again.stop_reason) == ([1, 2], None)


def test_keras_s_own_comparison_is_used_without_it():
    assert not callbacks.EarlyStopping("loss")._fitwatch.extended
    assert callbacks.EarlyStopping("loss", stopping_threshold=0)._fitwatch.extended
