"""`BackupAndRestore(exact=True)`: each batch is trained once, and the end is the same."""

import contextlib
import csv

import keras
import numpy as np
import pytest
from crashes import Crashes

import fitwatch
from fitwatch import callbacks

BACKEND = keras.config.backend()
X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
BATCHES = 10


class Epochs(keras.utils.PyDataset):
    """Batches whose numbers are in the data."""

    def __init__(self):
        super().__init__()
        self.read = []

    def __len__(self):
        return BATCHES

    def __getitem__(self, batch):
        self.read.append(batch)
        return X[4 * batch : 4 * batch + 4], Y[4 * batch : 4 * batch + 4]


def tf_data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(16, seed=3).batch(4)


SOURCES = {
    "arrays in order": lambda: {"x": X, "y": Y, "shuffle": False},
    "arrays": lambda: {"x": X, "y": Y},
    "resumable arrays": lambda: {"x": fitwatch.resumable(X, Y, batch_size=4, seed=1)},
    "resumable dataset": lambda: {"x": fitwatch.resumable(Epochs(), seed=1), "shuffle": False},
}
WITHIN_BATCHES = {"shuffled batches": lambda: {"x": X, "y": Y, "shuffle": "batch"}}
if BACKEND != "tensorflow":
    SOURCES |= WITHIN_BATCHES
else:
    SOURCES["tf.data"] = lambda: {"x": tf_data(), "shuffle": False}


def fit(folder, source, *extra, save_freq=3, epochs=3, steps=1, seed=0):
    """A run from the beginning, or from the last backup, as a new process would do it."""
    keras.utils.set_random_seed(7)
    layers = [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dropout(0.3)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], steps_per_execution=steps)
    if seed:
        # What happened in the new process before must not count.
        model.set_weights([w + 1 for w in model.get_weights()])
        np.random.seed(seed)
    listed = [
        callbacks.CSVLogger(folder / "log.csv", update_freq="batch"),
        callbacks.BackupAndRestore(folder / "backup", save_freq=save_freq, exact=True),
        callbacks.LossHistory(),
        *extra,
    ]
    data = SOURCES[source]() if isinstance(source, str) else source
    if data["x"] is X:
        data["batch_size"] = 4
    history = model.fit(**data, epochs=epochs, verbose=0, callbacks=listed)
    with open(folder / "log.csv", newline="") as file:
        rows = list(csv.reader(file))
    return model.get_weights(), history.history, listed[2].losses.tolist(), rows


def assert_same(one, two):
    for left, right in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(left, right)
    assert one[1:] == two[1:]


@pytest.mark.parametrize("source", [*SOURCES, "stock list"])
def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path, source):
    on = contextlib.nullcontext if source == "stock list" else fitwatch.enabled
    source = "arrays" if source == "stock list" else source
    with on():
        whole = fit(tmp_path, source)
        folder = tmp_path / "interrupted"
        folder.mkdir()
        for after, seed in ((8, 0), (9, 1)):
            with pytest.raises(InterruptedError):
                fit(folder, source, Crashes(after), seed=seed)
        assert_same(fit(folder, source, seed=1), whole)


@pytest.mark.parametrize(
    ("save_freq", "steps"),
    [("epoch", 1), (5, 1), *([] if BACKEND == "torch" else [(4, 2), (4, 4)])],
)
def test_whenever_it_is_saved(tmp_path, save_freq, steps):
    options = {"save_freq": save_freq, "steps": steps}
    whole = fit(tmp_path, "arrays", **options)
    folder = tmp_path / "interrupted"
    folder.mkdir()
    with pytest.raises(InterruptedError):
        fit(folder, "arrays", Crashes(17 // steps), **options)
    assert_same(fit(folder, "arrays", seed=1, **options), whole)


def generator():
    while True:
        yield X[:4], Y[:4]


REFUSED = {
    "generator": lambda: {"x": generator(), "steps_per_epoch": 5},
    "dataset": lambda: {"x": Epochs(), "shuffle": False},
    "part of the arrays": lambda: {"x": X, "y": Y, "steps_per_epoch": 5},
}
if BACKEND == "tensorflow":

    def python_code():
        import tensorflow as tf

        spec = (tf.TensorSpec((None, 3)), tf.TensorSpec((None, 1)))
        return tf.data.Dataset.from_generator(generator, output_signature=spec).take(5)

    REFUSED |= WITHIN_BATCHES
    REFUSED["Python in tf.data"] = lambda: {"x": python_code(), "shuffle": False}
elif BACKEND == "jax":
    REFUSED["tf.data"] = lambda: {"x": tf_data(), "shuffle": False}


@pytest.mark.parametrize("source", REFUSED)
def test_an_order_that_cannot_be_known_is_refused_before_anything_is_trained(tmp_path, source):
    batches = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: batches.append(b))
    with pytest.raises(ValueError, match=r"cannot be restored: .*fitwatch\.resumable"):
        fit(tmp_path, REFUSED[source](), watch)
    assert not batches


def test_other_data_are_refused(tmp_path):
    with pytest.raises(InterruptedError):
        fit(tmp_path, "arrays", Crashes(8))
    for message, other in {
        "samples was 40, and is 20": {"x": X[:20], "y": Y[:20], "batch_size": 4},
        "batch size was 4, and is 3": {"x": X[:], "y": Y, "batch_size": 3},
        "shuffle was True, and is False": {"x": X[:], "y": Y, "batch_size": 4, "shuffle": False},
        "kind was 'arrays', and is 'PyDataset'": {"x": fitwatch.resumable(X, Y, batch_size=4)},
        "sample was": {"x": X[::-1], "y": Y[::-1], "batch_size": 4},
    }.items():
        with pytest.raises(ValueError, match=f"with other data.*{message}"):
            fit(tmp_path, other)
    if BACKEND == "torch":
        return  # it knows one step only
    with pytest.raises(ValueError, match=r"after 6 batches.*not a multiple of steps_per_execution"):
        fit(tmp_path, "arrays", steps=4)


def test_a_backup_that_knows_no_order_is_refused(tmp_path):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def listed(exact):
        return [callbacks.BackupAndRestore(tmp_path, save_freq=3, exact=exact), Crashes(5)]

    with pytest.raises(InterruptedError):
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=listed(False))
    with pytest.raises(ValueError, match="without exact=True, in the middle of an epoch"):
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=listed(True))


def test_without_it_the_epoch_is_repeated_as_in_keras(tmp_path):
    trained = []
    for module in (callbacks, keras.callbacks):
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        folder = tmp_path / module.__name__
        arguments = {"x": X, "y": Y, "batch_size": 4, "epochs": 2, "verbose": 0, "shuffle": False}
        for after in (15, 0):
            listed = [module.BackupAndRestore(folder, save_freq=3), Crashes(after)]
            try:
                model.fit(**arguments, callbacks=listed)
            except InterruptedError:
                model.set_weights([w * 0 for w in model.get_weights()])
                model._initial_epoch = None
        trained.append((int(model.optimizer.iterations.numpy()), model.get_weights()))
    assert trained[0][0] == trained[1][0] == 25
    for one, two in zip(trained[0][1], trained[1][1], strict=True):
        np.testing.assert_array_equal(one, two)


def crash(folder, after, *, build=None, module=callbacks, exact=True, **options):
    """A run of a small model that is interrupted; `after=0` for one that ends."""
    keras.utils.set_random_seed(7)
    model = build() if build else keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    if not build:
        model.compile("sgd", "mse")
    more = {"exact": exact} if module is callbacks else {}
    listed = [module.BackupAndRestore(folder, save_freq=3, **more), Crashes(after)]
    listed += options.pop("callbacks", [])
    arguments = {"x": X, "y": Y, "batch_size": 4, "epochs": 2, "verbose": 0, **options}
    if not after:
        return model, model.fit(**arguments, callbacks=listed)
    with pytest.raises(InterruptedError):
        model.fit(**arguments, callbacks=listed)
    return model, None


def test_a_backup_of_keras_s_from_the_middle_is_refused(tmp_path):
    crash(tmp_path, 8, module=keras.callbacks)
    with pytest.raises(ValueError, match="without exact=True, in the middle"):
        crash(tmp_path, 0)


def test_another_initial_epoch_is_refused(tmp_path):
    crash(tmp_path, 5)
    with pytest.raises(ValueError, match=r"begins at epoch 1.*inside epoch 0"):
        crash(tmp_path, 0, initial_epoch=1)


def test_two_of_them_are_refused(tmp_path):
    other = callbacks.BackupAndRestore(tmp_path / "other")
    with pytest.raises(ValueError, match="must be the only one in its list"):
        crash(tmp_path, 0, callbacks=[other])


def two_outputs():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [keras.layers.Dense(1, name=name)(inputs) for name in "ab"])
    model.compile("sgd", {"a": "mse", "b": "mae"})
    return model


def array_metric():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    f1 = keras.metrics.F1Score(average=None)
    model.compile("sgd", "categorical_crossentropy", metrics=[f1])
    return model


@pytest.mark.parametrize(
    ("build", "y"),
    [
        (two_outputs, {"a": Y, "b": Y}),
        (array_metric, np.concatenate([Y > 0, Y <= 0], axis=1).astype("float32")),
    ],
)
def test_any_metrics_go_on(tmp_path, build, y):
    whole, expected = crash(tmp_path / "whole", 0, build=build, y=y)
    crash(tmp_path / "b", 5, build=build, y=y)
    resumed, history = crash(tmp_path / "b", 0, build=build, y=y)
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert repr(history.history) == repr(expected.history)


def test_where_the_epoch_began_is_known(tmp_path, capsys):
    def watchers():
        return [
            callbacks.LossHistory(),
            callbacks.EarlyStopping("loss", unit="batch", patience=6, min_delta=99, verbose=1),
        ]

    seen = []
    for folder, ends in (("whole", [0]), ("b", [5, 0])):
        for after in ends:
            listed = watchers()
            crash(tmp_path / folder, after, callbacks=listed)
        seen.append((listed[0].state_dict()["epochs"], capsys.readouterr().out))
    assert seen[0] == seen[1]
    assert "Epoch 1, batch 7" in seen[0][1]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a pipeline of TensorFlow")
def test_a_pipeline_of_unknown_length(tmp_path):
    def arguments():
        kept = tf_data().unbatch().filter(lambda x, y: True).batch(4)
        return {"x": kept, "y": None, "batch_size": None, "shuffle": False}

    whole, _ = crash(tmp_path / "whole", 0, **arguments())
    crash(tmp_path / "b", 5, **arguments())
    crash(tmp_path / "b", 3, **arguments())
    resumed, history = crash(tmp_path / "b", 0, **arguments())
    assert int(resumed.optimizer.iterations) == int(whole.optimizer.iterations)
    assert history.epoch == [0, 1]
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_orders_of_resumable_data():
    data = fitwatch.resumable(np.arange(10), batch_size=4, seed=3)
    first = [data[n][0].tolist() for n in range(len(data))]
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(n for batch in first for n in batch) == list(range(10))
    data.on_epoch_end()
    second = [data[n][0].tolist() for n in range(len(data))]
    assert second != first
    data.set_epoch(0)
    data.on_epoch_end()  # as Keras does, before the first epoch
    assert [data[n][0].tolist() for n in range(len(data))] == first
    weighted = fitwatch.resumable({"a": X}, Y, np.ones(40), shuffle=False)[1]
    np.testing.assert_array_equal(weighted[0]["a"], X[32:])
    assert len(weighted) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X, "y": Y[:3]}, "of one length"),
        ({"x": Epochs(), "y": Y}, "y and sample_weight must be None"),
        ({"x": X, "batch_size": 0}, "batch_size must be a whole number of 1 or more"),
        ({"x": X, "seed": -1}, "seed must be a whole number of 0 or more"),
        ({"x": X, "shuffle": "batch"}, "shuffle must be"),
    ],
)
def test_resumable_data_are_checked(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitwatch.resumable(**arguments)
