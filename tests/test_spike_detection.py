"""SpikeDetection: what it sees, and what it does about it."""

import csv
import re

import event_reader
import health
import keras
import numpy as np
import pytest
from crashes import Crashes

from fitwatch import callbacks
from fitwatch._core import Spikes

BACKEND = keras.config.backend()
SIZE, BATCHES = 4, 200
KINDS = pytest.mark.parametrize("kind", ["compiled", "stock"])
# Batches whose labels are wrong.
BAD = slice(150, 153)
FIRST = 150


def data(bad=BAD, by=1000.0, batches=BATCHES):
    """Inputs and labels by batch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batches, SIZE, 3)).astype("float32")
    y = x.sum(axis=2, keepdims=True) + rng.normal(size=(batches, SIZE, 1)).astype("float32")
    y[bad] += by
    return x, y


def model(steps=1, optimizer="adam", **options):
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.1)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    options = {} if BACKEND == "torch" else {"steps_per_execution": steps}
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


def fit(trained, x, y, watching, *, kind="compiled", epochs=1):
    """A fit over batches, in order."""
    callback_list = health.LISTS[kind](
        watching, model=trained, add_history=True, verbose=0, epochs=epochs, steps=len(x)
    )
    flat = [one.reshape(-1, *one.shape[2:]) for one in (x, y)]
    return trained.fit(
        *flat, batch_size=SIZE, epochs=epochs, shuffle=False, verbose=0, callbacks=callback_list
    )


def rolling_back(**arguments):
    return callbacks.SpikeDetection(
        **{
            "action": "rollback",
            "warmup": 50,
            "snapshot_every": 40,
            "max_to_keep": 3,
            **arguments,
        }
    )


def went_back(printed):
    """From how many batches to how many the training went back, each time."""
    found = re.findall(
        r"After (\d+) batches: rolled back to the state after (\d+) batches", printed
    )
    return [(int(after), int(to)) for after, to in found]


def state(trained):
    """All variables of a model and its optimizer."""
    variables = [*trained.variables, *trained.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@KINDS
def test_report(kind, capsys, tmp_path):
    detection = callbacks.SpikeDetection(warmup=50)
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path, update_freq="batch", loss="batch")
    fit(model(), *data(), [detection, logger], kind=kind)
    assert [spike["batch"] for spike in detection.spikes] == [150, 151, 152]
    assert {spike["action"] for spike in detection.spikes} == {"report"}
    first = detection.spikes[0]
    assert first["value"] > 5e5
    assert first["expected"] < 100
    assert capsys.readouterr().out.startswith("Epoch 1, batch 151: spike, loss ")
    rows = health.rows(path)
    seen = {int(row["batch"]): row for row in rows if row["spike"] != "NA"}
    assert list(seen) == [150, 151, 152]
    assert [float(row["spike"]) for row in seen.values()] == [
        spike["value"] for spike in detection.spikes
    ]
    assert seen[150]["spike"] == seen[150]["loss"]
    assert rows[-1]["batch"] == "NA"
    assert len(rows) == BATCHES + 1


def test_a_row_of_a_logger_that_comes_first_is_the_next_one(tmp_path):
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path, update_freq="batch")
    fit(model(), *data(slice(150, 151)), [logger, callbacks.SpikeDetection(warmup=50)])
    assert [row["batch"] for row in health.rows(path) if row["spike"] != "NA"] == ["151"]


@pytest.mark.skipif(BACKEND == "torch", reason="calls of several batches are not on torch")
def test_each_batch_of_a_call_is_judged(tmp_path):
    path, detection = tmp_path / "log.csv", callbacks.SpikeDetection(warmup=50)
    logger = callbacks.CSVLogger(path, update_freq="batch", loss="batch")
    fit(model(steps=8), *data(slice(150, 151)), [detection, logger])
    assert [spike["batch"] for spike in detection.spikes] == [150]
    assert [row["batch"] for row in health.rows(path) if row["spike"] != "NA"] == ["150"]


def test_there_is_no_column_without_it(tmp_path):
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path, update_freq="batch")
    fit(model(), *data(batches=5), [logger])
    with open(path, newline="") as file:
        assert "spike" not in next(csv.reader(file))


@KINDS
def test_stop(kind, capsys):
    detection = callbacks.SpikeDetection(warmup=50, action="stop")
    trained = model()
    fit(trained, *data(), [detection], kind=kind)
    assert FIRST < int(trained.optimizer.iterations) <= FIRST + 17
    assert [spike["action"] for spike in detection.spikes][:2] in (["stop"], ["stop", "report"])
    assert detection.stop_reason.endswith("at epoch 1, batch 151")
    assert detection.stop_reason in capsys.readouterr().out


@KINDS
@pytest.mark.parametrize("steps", [1] if BACKEND == "torch" else [1, 8])
def test_rollback(kind, steps, capsys):
    """The end is, bit for bit, that of a training without the batches that were undone."""
    x, y = data()
    trained, detection = model(steps), rolling_back()
    watching = [
        detection,
        callbacks.EarlyStopping("loss", unit="batch", patience=10**6, halflife=20),
        callbacks.ReduceLROnPlateau("mae", unit="batch", patience=10**6),
    ]
    history = fit(trained, x, y, watching, kind=kind)
    ((after, to),) = went_back(capsys.readouterr().out)
    assert 153 < after <= 153 + 17 + 2 * steps
    assert to in (112, 120)
    assert to % steps == 0
    assert [spike["action"] for spike in detection.spikes] == ["rollback"] * 3
    kept = [*range(to), *range(after, BATCHES)]
    reference = model(steps)
    others = [
        rolling_back(),
        callbacks.EarlyStopping("loss", unit="batch", patience=10**6, halflife=20),
        callbacks.ReduceLROnPlateau("mae", unit="batch", patience=10**6),
    ]
    expected = fit(reference, x[kept], y[kept], others, kind=kind)
    assert not others[0].spikes
    assert_equal(state(trained), state(reference))
    # Running means do not have the batches that were undone.
    assert history.history == expected.history
    for ours, theirs in zip(watching[1:], others[1:], strict=True):
        assert (ours.best, ours.wait) == (theirs.best, theirs.wait)
    assert watching[1]._fitwatch.core.progress == others[1]._fitwatch.core.progress
    assert detection._fitwatch.core.reference == others[0]._fitwatch.core.reference
    # The numbers of batches stay.
    assert watching[1]._fitwatch.batches.seen == BATCHES


def test_the_best_weights_go_back():
    x, y = data()
    y[:] = 5  # a loss that falls, so that the best weights are new ones
    y[BAD] = 1000
    stops = callbacks.EarlyStopping("loss", unit="batch", patience=10**6, restore_best_weights=True)
    weights = {}

    class Keeps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights[batch] = [np.array(one) for one in self.model.get_weights()]

    trained = model(optimizer=keras.optimizers.SGD(1e-4))
    detection = rolling_back()
    fit(trained, x, y, [detection, stops, Keeps()])
    assert detection.spikes
    assert stops.best_batch not in range(120, 154)
    assert_equal(trained.get_weights(), weights[stops.best_batch])


@KINDS
def test_a_spike_at_the_end_of_an_epoch(kind, capsys):
    x, y = data(slice(199, 200))
    seen = []

    class Sees(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(state(self.model))

    trained, detection = model(), rolling_back()
    fit(trained, x, y, [Sees(), detection], kind=kind, epochs=1)
    ((after, to),) = went_back(capsys.readouterr().out)
    assert (after, to) == (200, 160)
    reference = model()
    fit(reference, x[:160], y[:160], [rolling_back()], kind=kind)
    assert_equal(state(trained), state(reference))
    if kind == "compiled" or BACKEND == "tensorflow":
        assert_equal(seen[0], state(trained))


def test_the_snapshot_of_an_earlier_epoch(capsys):
    """The metrics of an epoch are its own, without the batches that were undone."""
    x, y = data(slice(0, 0))
    bad = y.copy()
    bad[10] += 1000
    trained = model()
    epoch = [0]

    class Wrong(keras.utils.PyDataset):
        def __len__(self):
            return BATCHES

        def __getitem__(self, batch):
            return x[batch], (bad if epoch[0] else y)[batch]

        def on_epoch_end(self):
            epoch[0] += 1

    detection = rolling_back()
    listed = callbacks.CallbackList([detection], model=trained, add_history=True, epochs=2)
    history = trained.fit(Wrong(), epochs=2, verbose=0, shuffle=False, callbacks=listed)
    ((after, to),) = went_back(capsys.readouterr().out)
    assert to < BATCHES < after
    assert history.history["loss"][1] < 100


def test_the_learning_rate(capsys):
    x, y = data()
    y[90] += 1000
    trained, detection = model(), rolling_back(lr_factor=0.5, snapshot_every=30)
    rates = callbacks.LossHistory()
    fit(trained, x, y, [detection, rates])
    assert len(went_back(capsys.readouterr().out)) == 2
    assert float(trained.optimizer.learning_rate) == pytest.approx(0.001 * 0.25)
    assert [drop[1:] for drop in rates._fitwatch.record.rate_drops] == [
        pytest.approx((0.001, 0.0005)),
        pytest.approx((0.0005, 0.00025)),
    ]


def test_the_rate_is_counted_from_the_snapshot(capsys):
    """Twice to the same snapshot: the factor applies twice."""
    x, y = data(slice(100, 101))
    y[135] += 1000
    trained = model()
    fit(trained, x, y, [rolling_back(lr_factor=0.5, snapshot_every=80)])
    assert [to for _, to in went_back(capsys.readouterr().out)] == [80, 80]
    assert float(trained.optimizer.learning_rate) == pytest.approx(0.001 * 0.25)


def test_schedules_go_back(capsys):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 50, 0.9)
    trained = model(optimizer=keras.optimizers.Adam(schedule))
    with pytest.raises(ValueError, match=r"lr_factor must be 1 with a LearningRateSchedule.*0\.5"):
        fit(trained, *data(), [rolling_back(lr_factor=0.5)])
    fit(trained, *data(), [rolling_back()])
    ((after, to),) = went_back(capsys.readouterr().out)
    assert int(trained.optimizer.iterations) == BATCHES - (after - to)


def test_a_long_stretch_is_one_rollback(capsys):
    detection = rolling_back()
    fit(model(), *data(slice(150, 170)), [detection])
    ((after, _),) = went_back(capsys.readouterr().out)
    assert 170 < after < 190
    assert len(detection.spikes) == 20


def test_too_many_rollbacks_stop_the_training(capsys):
    x, y = data(slice(0, 0))
    y[[90, 115, 140]] += 1000
    # After a rollback to batch 40 the reference has seen 40 batches again: not to be in a warm-up.
    trained, detection = model(), rolling_back(max_rollbacks=2, snapshot_every=40, warmup=30)
    fit(trained, x, y, [detection])
    assert len(went_back(capsys.readouterr().out)) == 3
    assert [spike["action"] for spike in detection.spikes] == ["rollback", "rollback", "stop"]
    assert detection.stop_reason == "a spike after 2 rollbacks in 100 batches"
    assert np.isfinite(state(trained)[0]).all()


def test_without_an_old_snapshot_it_is_reported_only(capsys):
    detection = rolling_back(warmup=2, snapshot_every=100)
    fit(model(), *data(slice(12, 13), batches=60), [detection])
    assert [spike["action"] for spike in detection.spikes] == ["report"]
    assert "no snapshot is old enough" in capsys.readouterr().out


def test_snapshots_that_are_too_close():
    with pytest.raises(ValueError, match=r"\* \(max_to_keep - 1\) must be 33 or more.*=32, max"):
        fit(model(), *data(batches=5), [rolling_back(snapshot_every=32, max_to_keep=2)])
    fit(model(), *data(batches=5), [rolling_back(snapshot_every=33, max_to_keep=2)])


def test_values_that_are_not_finite(capsys):
    x, y = data(by=np.nan)
    trained, detection = model(), rolling_back()
    fit(trained, x, y, [detection])
    assert went_back(capsys.readouterr().out)
    assert [spike["batch"] for spike in detection.spikes] == [150]  # the first one in a row
    assert np.isnan(detection.spikes[0]["value"])
    assert all(np.isfinite(one).all() for one in state(trained))


@KINDS
@pytest.mark.parametrize("order", [1, -1])
def test_terminate_on_nan_has_the_last_word(kind, order, capsys):
    detection, trained = rolling_back(), model()
    fit(trained, *data(by=np.nan), [detection, callbacks.TerminateOnNaN()][::order], kind=kind)
    printed = capsys.readouterr().out
    assert "Batch 150: Invalid loss" in printed
    assert not went_back(printed)
    assert [spike["action"] for spike in detection.spikes] == ["report"]
    assert int(trained.optimizer.iterations) < BATCHES


def test_a_metric_that_is_to_be_large():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32 * 200, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    wrong = rng.random(len(y)) < 0.1
    wrong[32 * 150 : 32 * 151] = True
    y[wrong] = 1 - y[wrong]
    trained = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    trained.set_weights([np.array([[30.0], [0.0]]), np.zeros(1)])
    trained.compile(keras.optimizers.SGD(1e-5), "mse", metrics=["mae", "accuracy"])
    found = {}
    for name in ("accuracy", "mae"):
        found[name] = callbacks.SpikeDetection(name, warmup=50, threshold=12)
    trained.fit(x, y, batch_size=32, verbose=0, shuffle=False, callbacks=[*found.values()])
    assert {name: [s["batch"] for s in one.spikes] for name, one in found.items()} == {
        "accuracy": [150],
        "mae": [150],
    }


def test_a_metric_of_unknown_direction():
    def half(y_true, y_pred):
        return 0.5 * keras.ops.mean(y_pred)

    trained = model()
    trained.compile("sgd", "mse", metrics=[half])
    with pytest.raises(ValueError, match="SpikeDetection: mode must be 'min' or 'max' for the met"):
        fit(trained, *data(batches=5), [callbacks.SpikeDetection("half")])
    fit(trained, *data(batches=5), [callbacks.SpikeDetection("half", mode="max")])


def test_the_text_in_tensorboard(tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq=1, write_events=True, write_graph=False)
    fit(model(), *data(), [rolling_back(), board])
    found = event_reader.read(tmp_path / "train")
    spikes, rollbacks = (found[f"fitwatch/{kind}"][2] for kind in ("spike", "rollback"))
    assert len(spikes) == 3
    assert len(rollbacks) == 1
    assert spikes[0][1][0].startswith(b"Epoch 1, batch 151: loss ")
    assert rollbacks[0][1][0].startswith(b"after ")


@pytest.mark.parametrize("crash", [120, 170])
def test_a_resumed_run_sees_the_same(tmp_path, crash):
    def run(folder, *extra):
        detection = callbacks.SpikeDetection(warmup=50)
        backup = callbacks.BackupAndRestore(folder, save_freq=25, exact=True)
        fit(model(), *data(), [detection, backup, *extra])
        return detection

    expected = run(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        run(tmp_path / "resumed", Crashes(crash))
    found = run(tmp_path / "resumed")
    assert found.spikes == expected.spikes
    assert found.state_dict() == expected.state_dict()


def test_a_fit_starts_over(capsys):
    detection, trained = rolling_back(), model()
    fit(trained, *data(), [detection])
    assert went_back(capsys.readouterr().out)
    fit(trained, *data(slice(0, 0)), [detection])
    assert not detection.spikes
    assert not detection._fitwatch.rollbacks
    assert detection._fitwatch.rollback._snapshots is None  # their memory is free


def test_the_core_takes_many_values_at_once():
    rng = np.random.default_rng(0)
    losses = rng.normal(1, 0.1, 2000)
    losses[[700, 1500]] = 10, np.nan
    policy = Spikes()
    assert policy.judge(losses) == [700, 1500]
    value, expected = policy.found
    assert np.isnan(value)
    assert abs(expected - 1) < 0.2
    assert policy.reference[0] == 1999
    with pytest.raises(BufferError):
        policy.judge(losses.astype("float32"))
