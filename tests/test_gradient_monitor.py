"""GradientMonitor, beside gradients that are computed apart from the train step."""

import keras
import numpy as np
import pytest
from batch_losses import STEPS, cut, numbers
from event_reader import read
from gradients import norm, trained, weights
from keras import optimizers

from fitwatch import callbacks
from fitwatch.callbacks import CallbackList, GradientMonitor, LossHistory

X, Y = numbers(60)
BATCHES = list(cut((X, Y), 8))
EVERYTHING = {"clipped": True, "per_layer": True, "update_ratio": True}
LISTS = {"compiled": CallbackList, "stock list": keras.callbacks.CallbackList}
each_list = pytest.mark.parametrize("make_list", LISTS.values(), ids=LISTS)


def model_of(optimizer, **options):
    """A model with the same weights each time."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(5, "tanh", name="hidden"), keras.layers.Dense(1, name="out")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, "mse", **options)
    return model


def fit(model, *watching, make_list=CallbackList, x=X, y=Y, epochs=1, verbose=0):
    """A fit over batches in order."""
    history = LossHistory(columns="all")
    params = {"epochs": epochs, "steps": len(BATCHES), "verbose": verbose}
    callback_list = make_list([history, *watching], model=model, add_history=True, **params)
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, callbacks=callback_list)
    return history


def by_norm(limit):
    return lambda arrays: [g * min(1, limit / norm([g])) for g in arrays]


def by_global_norm(limit):
    return lambda arrays: [g * min(1, limit / norm(arrays)) for g in arrays]


def by_value(limit):
    return lambda arrays: [np.clip(g, -limit, limit) for g in arrays]


def apart(arrays):
    """Clips as the optimizers of `several` do."""
    return [*by_global_norm(0.3)(arrays[:2]), *by_value(0.1)(arrays[2:])]


def several():
    parts = {".*hidden.*": optimizers.SGD(0.1, global_clipnorm=0.3)}
    default = optimizers.Adam(clipvalue=0.1)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(default, parts))


KINDS = {
    "SGD": (lambda: optimizers.SGD(0.05), list),
    "Adam": (optimizers.Adam, list),
    "clipnorm": (lambda: optimizers.SGD(0.05, clipnorm=0.5), by_norm(0.5)),
    "global_clipnorm": (lambda: optimizers.Adam(global_clipnorm=0.5), by_global_norm(0.5)),
    "clipvalue": (lambda: optimizers.SGD(0.05, clipvalue=0.2), by_value(0.2)),
    "loss_scale_factor": (lambda: optimizers.SGD(0.05, loss_scale_factor=64.0), list),
    "LossScaleOptimizer": (
        lambda: optimizers.LossScaleOptimizer(optimizers.Adam(clipnorm=0.5), 1024.0),
        by_norm(0.5),
    ),
    "MultiOptimizer": (several, apart),
}


def assert_measured(history, expected, clip):
    """Whether the columns are those of gradients, and of weights before and after updates."""
    all_of = {
        "grad_norm": [norm(found) for found, _, _ in expected],
        "grad_norm_clipped": [norm(clip(found)) for found, _, _ in expected],
        "grad_norm/hidden": [norm(found[:2]) for found, _, _ in expected],
        "grad_norm/out": [norm(found[2:]) for found, _, _ in expected],
    }
    assert set(history.kinds) == {"loss", *all_of, "update_ratio"}
    for name, values in all_of.items():
        np.testing.assert_allclose(history.column(name), values, rtol=1e-6, err_msg=name)
    ratios = [
        norm([b - a for a, b in zip(old, new, strict=True)]) / norm(old) for _, old, new in expected
    ]
    np.testing.assert_allclose(history.column("update_ratio"), ratios, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_gradients_computed_apart(kind):
    make, clip = KINDS[kind]
    history = fit(model_of(make()), GradientMonitor(**EVERYTHING))
    assert_measured(history, list(trained(model_of(make()), BATCHES)), clip)


@pytest.mark.parametrize("scaled", [False, True])
def test_accumulated_gradients(scaled):
    def make():
        inner = optimizers.Adam(0.05, global_clipnorm=0.5, gradient_accumulation_steps=3)
        return optimizers.LossScaleOptimizer(inner, 256.0) if scaled else inner

    model = model_of(make(), steps_per_execution=min(STEPS[-1], 4))
    history = fit(model, GradientMonitor(**EVERYTHING))
    expected = list(trained(model_of(make()), BATCHES))
    own = [found for found, _, _ in expected]
    for last in range(2, len(own), 3):
        means = [np.mean(ones, axis=0) for ones in zip(*own[last - 2 : last + 1], strict=True)]
        expected[last] = (means, *expected[last][1:])
    assert_measured(history, expected, by_global_norm(0.5))


def test_run_eagerly():
    def make():
        return optimizers.SGD(0.05, clipnorm=0.5)

    model = model_of(make(), run_eagerly=True)
    history = fit(model, GradientMonitor(**EVERYTHING))
    assert_measured(history, list(trained(model_of(make()), BATCHES)), by_norm(0.5))


@each_list
def test_every_third_batch(make_list):
    whole = fit(model_of("adam"), GradientMonitor(**EVERYTHING), epochs=2)
    stopping = callbacks.EarlyStopping(
        "grad_norm", unit="batch", divergence_threshold=1e3, patience=100, mode="min"
    )
    watching = [GradientMonitor(**EVERYTHING, every=3), stopping]
    history = fit(model_of("adam"), *watching, make_list=make_list, epochs=2)
    for name in set(whole.kinds) - {"loss"}:
        values = np.full(16, np.nan, "float32")
        values[2::3] = whole.column(name)[2::3]
        np.testing.assert_allclose(history.column(name), values, rtol=1e-5, err_msg=name)
    best = np.nanargmin(history.column("grad_norm")[2::3])
    assert stopping.wait == 5 - 1 - best  # of five values


@each_list
def test_a_norm_that_is_too_large_ends_the_training(make_list):
    model = model_of(optimizers.SGD(1e4))
    stopping = callbacks.EarlyStopping("grad_norm", unit="batch", divergence_threshold=1e3)
    history = fit(model, GradientMonitor(), stopping, make_list=make_list, epochs=3)
    values = history.column("grad_norm")
    assert stopping.stopped_epoch == 0
    assert stopping.stopped_batch == np.flatnonzero(values > 1e3)[0]


@each_list
@pytest.mark.parametrize("name", ["Adam", "MultiOptimizer"])
def test_the_training_is_the_same(name, make_list):
    plain, watched = model_of(KINDS[name][0]()), model_of(KINDS[name][0]())
    without = fit(plain, make_list=make_list, epochs=2)
    monitors = [GradientMonitor(**EVERYTHING), callbacks.LearningRateMonitor()]
    history = fit(watched, *monitors, make_list=make_list, epochs=2)
    assert all(map(np.array_equal, weights(plain), weights(watched)))
    assert np.array_equal(without.losses, history.losses)
    logs, before = watched.history.history, plain.history.history
    assert {name: logs[name] for name in before} == before
    state = [keras.ops.convert_to_numpy(v) for v in plain.optimizer.variables]
    assert all(map(np.array_equal, state, watched.optimizer.variables))


@each_list
def test_columns_reach_all_sinks(make_list, tmp_path, capsys):
    file, logs = tmp_path / "log.csv", tmp_path / "logs"
    watching = [
        callbacks.CSVLogger(file, update_freq="batch"),
        GradientMonitor(),
        callbacks.TensorBoard(logs, update_freq="batch"),
        callbacks.ProgbarLogger(),
    ]
    model = model_of("sgd")
    history = fit(model, *watching, make_list=make_list, verbose=2)
    norms = history.column("grad_norm")
    assert len(norms) == len(BATCHES)
    header, *rows = [line.split(",") for line in file.read_text().splitlines()]
    place = header.index("grad_norm")
    assert [float(row[place]) for row in rows[:-1]] == pytest.approx(norms)
    assert float(rows[-1][place]) == pytest.approx(norms.mean())
    assert model.history.history["grad_norm"] == pytest.approx([norms.mean()])
    written = {
        tag: np.ravel([value for _, value in points[2]])
        for tag, points in read(logs / "train").items()
    }
    np.testing.assert_allclose(written["batch_grad_norm"], norms, rtol=1e-6)
    np.testing.assert_allclose(written["epoch_grad_norm"], norms.mean(), rtol=1e-6)
    assert f"grad_norm: {norms.mean():.4f}" in capsys.readouterr().out


def test_embeddings_have_sparse_gradients():
    def embedded():
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Embedding(50, 3), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((6,), dtype="int32"), *layers])
        model.compile(optimizers.SGD(0.1), "mse")
        return model

    x = np.random.default_rng(0).integers(0, 7, (60, 6)).astype("int32")
    history = fit(embedded(), GradientMonitor(update_ratio=True), x=x)
    expected = list(trained(embedded(), cut((x, Y), 8)))
    norms = [norm(found) for found, _, _ in expected]
    np.testing.assert_allclose(history.column("grad_norm"), norms, rtol=1e-6)


def test_a_metric_with_the_same_name_wins():
    def grad_norm(y_true, y_pred):
        return keras.ops.mean(y_true) * 0 + 7

    model = model_of("sgd", metrics=[grad_norm])
    with pytest.warns(UserWarning, match="a metric has the name 'grad_norm'"):
        fit(model, GradientMonitor(update_ratio=True))
    assert model.history.history["grad_norm"] == [7]


def test_gradients_that_are_left_out_have_no_value():
    """Those that are not finite, under loss scaling."""
    x = X.copy()
    x[8:16] = np.inf
    model = model_of(optimizers.LossScaleOptimizer(optimizers.SGD(0.01)))
    history = fit(model, GradientMonitor(**EVERYTHING), x=x)
    for name in set(history.kinds) - {"loss"}:
        values = history.column(name)
        assert np.flatnonzero(np.isnan(values)).tolist() == [1], name
    assert np.isfinite(model.history.history["grad_norm"]).all()


def test_weights_of_zero_have_no_update_ratio():
    layer = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile("sgd", "mse")
    ratios = fit(model, GradientMonitor(update_ratio=True)).column("update_ratio")
    assert np.isnan(ratios[0])
    assert np.all(ratios[1:] > 0)
