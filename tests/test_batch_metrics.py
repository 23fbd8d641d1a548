"""The value that each metric has for one batch, as `train_on_batch()` returns it after a reset."""

import copy
import csv
import json
import pickle
import warnings
from typing import ClassVar

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, STEPS, assert_same, cut
from event_reader import read
from vae import Vae

from fitwatch.callbacks import (
    CallbackList,
    CSVLogger,
    EarlyStopping,
    LossHistory,
    ReduceLROnPlateau,
    TensorBoard,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")
WEIGHTS = RNG.uniform(size=60).astype("float32")
SIZE, EPOCHS = 7, 2  # the last batch of an epoch has 4 samples


def binary(**options):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(
        "adam",
        "binary_crossentropy",
        metrics=[
            "mae",
            "accuracy",
            keras.metrics.AUC(name="auc"),
            keras.metrics.Precision(name="precision"),
        ],
        weighted_metrics=[keras.metrics.MeanSquaredError(name="weighted_mse")],
        **options,
    )
    return model


def fit(model, callbacks, compiled=True, **options):
    if compiled:
        epochs = options.get("epochs", EPOCHS)
        callbacks = CallbackList(callbacks, add_history=True, model=model, epochs=epochs)
    given = {"sample_weight": WEIGHTS, "batch_size": SIZE, "shuffle": False, "verbose": 0}
    return model.fit(X, Y, epochs=EPOCHS, callbacks=callbacks, **given, **options)


def alone():
    """Each batch's metrics, one by one."""
    model, found = binary(), []
    for _ in range(EPOCHS):
        for x, y, weights in cut((X, Y, WEIGHTS), SIZE):
            model.reset_metrics()
            found.append(model.train_on_batch(x, y, sample_weight=weights, return_dict=True))
    names = found[0].keys()
    return {name: np.array([each[name] for each in found], dtype="float32") for name in names}


@pytest.fixture(scope="module")
def expected():
    return alone()


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("steps", STEPS[:2])
def test_every_metric_has_its_own_value_bit_by_bit(steps, compiled, expected):
    model, plain = (binary(steps_per_execution=steps) for _ in range(2))
    history = LossHistory(columns="all")
    logged = fit(model, [history], compiled).history
    assert set(history.kinds) == set(expected)
    assert set(history.kinds.values()) == {"batch"}
    for name, values in expected.items():
        # Keras's tracker multiplies the loss by the number of samples, and divides it again.
        ulps = 1 if name == "loss" else 0
        assert_same(history.column(name), values, ulps)
    # The model, its logs and its history are what they are without it.
    assert logged == fit(plain, [], compiled=False).history
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": BACKEND != "jax"}])
def test_other_ways_to_run_the_step(options, expected):
    if BACKEND == "torch" and "jit_compile" in options:
        pytest.skip("torch.compile is another matter")
    history = LossHistory(columns=["auc", "weighted_mse"])
    fit(binary(**options), [history])
    assert set(history.kinds) == {"loss", "auc", "weighted_mse"}
    for name in history.kinds:
        # Another compiler may round otherwise.
        np.testing.assert_allclose(history.column(name), expected[name], rtol=1e-5, atol=1e-6)
        assert history.kinds[name] == "batch"


def test_only_what_was_asked_for_is_kept():
    history = LossHistory(columns=["mae"], capacity=5)
    fit(binary(), [history])
    assert list(history.kinds) == ["loss", "mae"]
    assert len(history.column("mae")) == len(history.losses) == 5
    with pytest.raises(KeyError, match=r"no column 'auc'; there are: loss, mae\."):
        history.column("auc")


def test_running_means_beside_the_losses_of_batches():
    """A metric that is not wanted by batch is recorded as Keras logs it."""
    history = LossHistory()
    seen = []
    by_hand = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(logs["mae"])
    )
    record = LossHistory(columns=["mae"], loss="running")
    fit(binary(), [history, by_hand, record])
    assert (record.kinds, history.kind) == ({"loss": "running", "mae": "batch"}, "batch")
    assert len(record.column("mae")) == len(record.losses) == len(seen)


class TestVae:
    """The best-known pattern of Keras's guides: a step of its own, with metrics of its own."""

    def make(self, **options):
        keras.utils.set_random_seed(0)
        model = Vae()
        model(X[:2])
        model.compile("adam", **options)
        return model

    @pytest.mark.parametrize("steps", STEPS[:2])
    def test_its_losses_have_their_names_in_the_logs(self, steps):
        history = LossHistory(columns="all")
        model = self.make(steps_per_execution=steps)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.fit(
                X, batch_size=SIZE, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[history]
            )
        assert history.kinds == dict.fromkeys(["loss", "kl_loss", "reconstruction_loss"], "batch")

        class Reset(keras.callbacks.Callback):
            found: ClassVar = []

            def on_train_batch_end(self, batch, logs=None):
                self.found.append(dict(logs))
                for metric in self.model.metrics:
                    metric.reset_state()

        reset = Reset()
        plain = self.make()
        plain.fit(X, batch_size=SIZE, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[reset])
        for name in history.kinds:
            values = np.array([logs[name] for logs in reset.found], dtype="float32")
            # The compiler may add the terms of the loss to the metric one by one.
            assert_same(history.column(name), values, 1 if name == "loss" else 0)

    def test_a_monitor_by_batch_judges_them(self):
        history = LossHistory(columns=["kl_loss"])
        stopping = EarlyStopping("kl_loss", unit="batch", mode="min", patience=10**6)
        model = self.make()
        model.fit(X, batch_size=SIZE, epochs=EPOCHS, verbose=0, callbacks=[history, stopping])
        assert stopping.best == history.column("kl_loss").min()


class Inner(keras.Model):
    """Updates a metric inside the loss, whose gradient is taken."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.inner = keras.metrics.Mean(name="inner")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = keras.ops.mean(keras.ops.square(y - y_pred))
        self.inner.update_state(loss)
        return loss


def test_a_metric_inside_the_gradient_has_running_means_on_jax():
    def make():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        model = Inner(inputs, keras.layers.Dense(1)(inputs))
        model.compile("sgd", metrics=["mae"])
        return model

    history, model = LossHistory(columns="all"), make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logged = fit(model, [history]).history
    told = [
        str(one.message) for one in caught if "for each batch cannot be taken" in str(one.message)
    ]
    inner = "batch"
    if BACKEND == "jax":
        inner = "running"
        (message,) = told
        assert "inner: it is updated inside the gradient or a loop of the train step" in message
    else:
        assert not told
    assert history.kinds == {"loss": "batch", "inner": inner, "mae": "batch"}
    assert logged == fit(make(), [], compiled=False).history


def test_a_metric_with_a_value_for_each_class_is_no_column():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    f1 = keras.metrics.F1Score(name="f1")
    model.compile("sgd", "categorical_crossentropy", metrics=[f1, "accuracy"])
    history = LossHistory(columns=["accuracy"])
    model.fit(X, np.eye(3)[RNG.integers(3, size=60)], verbose=0, callbacks=[history])
    assert history.kinds == {"loss": "batch", "accuracy": "batch"}


def test_a_monitor_by_batch_judges_the_values_of_batches(expected):
    """In earlier versions it judged the running mean of a metric other than the loss."""
    stopping = EarlyStopping("mae", unit="batch", patience=10**6)
    plateau = ReduceLROnPlateau("auc", unit="batch", patience=10**6, mode="max")
    fit(binary(), [stopping, plateau])
    assert stopping.best == expected["mae"].min()
    assert plateau.best == expected["auc"].max()


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
def test_files(compiled, tmp_path, expected):
    path = tmp_path / "log.csv"
    board = TensorBoard(
        tmp_path, update_freq="batch", loss="batch", metrics="batch", write_graph=False
    )
    fit(binary(), [CSVLogger(path, update_freq="batch", metrics="batch"), board], compiled)
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["batch"] != "NA"]
    written = read(tmp_path / "train")
    assert {tag for tag in written if tag.startswith("batch")} == {f"batch_{n}" for n in expected}
    for name, values in expected.items():
        points = [value for _, (value,) in written[f"batch_{name}"][2]]
        assert_same(np.array(points, dtype="float32"), values, 1 if name == "loss" else 0)
        if name != "loss":  # which has its running mean: `loss` is an argument of its own
            column = np.array([float(row[name]) for row in rows], dtype="float32")
            np.testing.assert_array_equal(column, values, err_msg=name)


def test_columns_are_saved_loaded_and_copied(tmp_path):
    history = LossHistory(columns=["mae"])
    fit(binary(), [history])
    history.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        assert file["column_names"].tolist() == ["mae"]
        np.testing.assert_array_equal(file["columns"], [history.column("mae")])
    state = LossHistory(columns=["mae"])
    state.load_state_dict(json.loads(json.dumps(history.state_dict())))
    others = [
        LossHistory.load(tmp_path / "run.npz"),
        pickle.loads(pickle.dumps(history)),
        copy.deepcopy(history),
        state,
    ]
    for other in others:
        np.testing.assert_array_equal(other.column("mae"), history.column("mae"))
        assert other.kinds == history.kinds == {"loss": "batch", "mae": "batch"}
        other._fitwatch.record.columns["mae"].append(1.0)
    assert len(history.column("mae")) == len(history.losses)


def test_a_column_that_does_not_exist_is_reported():
    history = LossHistory(columns=["no_such"])
    with pytest.warns(UserWarning, match="LossHistory: .*'no_such'"):
        fit(binary(), [history])
    assert np.isnan(history.column("no_such")).all()
