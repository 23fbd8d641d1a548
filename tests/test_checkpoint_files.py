"""ModelCheckpoint's files: atomic saves, `max_to_keep`, saves by time, background saves."""

import datetime
import threading
import zipfile

import h5py
import keras
import numpy as np
import pytest
from checkpoints import checkpoint, fails, files

import fitwatch
from fitwatch import _core, _files
from fitwatch.callbacks import BackupAndRestore, ModelCheckpoint

ENDINGS = ["model.keras", "model.weights.h5"]


def loaded(path, make):
    """The weights in a file."""
    if str(path).endswith(".keras"):
        return keras.models.load_model(path).get_weights()
    model = make()
    model.load_weights(path)
    return model.get_weights()


def assert_equal(one, two):
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_save_that_fails_leaves_the_old_file_and_the_old_best(make_model, data, tmp_path):
    path = tmp_path / "best.keras"
    saver = ModelCheckpoint(path, "loss", save_best_only=True)
    make_model().fit(*data, verbose=0, callbacks=[saver])
    best, before = saver.best, path.read_bytes()
    saver.best = best + 1
    with pytest.raises(OSError, match="No space left") as failed:
        fails(make_model).fit(*data, verbose=0, callbacks=[saver])
    assert "best.keras' was not saved" in failed.value.__notes__[0]
    assert saver.best == best + 1
    assert path.read_bytes() == before
    assert files(tmp_path) == ["best.keras"]


def test_temporary_files_of_the_dead_are_removed_when_training_begins(make_model, data, tmp_path):
    dead = tmp_path / ".fitwatch-0123456789abcdef"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "model.keras").write_text("half")
    alive = _core.Replacement(tmp_path / "other.keras")
    make_model().fit(*data, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "model.keras")])
    assert files(tmp_path) == [alive.path.parent.name, "model.keras"]
    alive.discard()
    assert files(tmp_path) == ["model.keras"]


def test_a_link_stays_one(make_model, data, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "model.keras").symlink_to("real/model.keras")
    make_model().fit(*data, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "model.keras")])
    assert (tmp_path / "model.keras").is_symlink()
    keras.models.load_model(tmp_path / "real" / "model.keras")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_of_the_background_is_that_of_the_foreground(make_model, data, tmp_path, ending):
    both = [
        checkpoint(tmp_path / str(background) / ending, save_on_background=background)
        for background in (False, True)
    ]
    make_model(optimizer="adam").fit(*data, epochs=2, verbose=0, callbacks=both)
    one, two = tmp_path / "False" / ending, tmp_path / "True" / ending
    if ending.endswith(".h5"):
        assert one.read_bytes() == two.read_bytes()
        return
    with zipfile.ZipFile(one) as left, zipfile.ZipFile(two) as right:
        assert left.namelist() == right.namelist()
        for name in left.namelist():
            if name == "config.json":
                assert left.read(name) == right.read(name)
        for a, b in zip(left.infolist(), right.infolist(), strict=True):
            assert (a.compress_type, a.external_attr) == (b.compress_type, b.external_attr)
        # Keras writes it into memory first, where HDF5 orders its blocks in another way.
        left.extract("model.weights.h5", tmp_path / "False")
        right.extract("model.weights.h5", tmp_path / "True")
    contents = []
    for folder in ("False", "True"):
        with h5py.File(tmp_path / folder / "model.weights.h5") as file:
            contents.append([])
            file.visititems(
                lambda name, item: contents[-1].append(
                    (name, dict(item.attrs), item[()].tobytes() if hasattr(item, "dtype") else None)
                )
            )
    assert contents[0] == contents[1]
    assert len(contents[0]) > 8


def test_assets_are_saved_in_the_background_too(tmp_path):
    layer = keras.layers.StringLookup(vocabulary=["a", "b"])
    if keras.config.backend() != "tensorflow":
        pytest.skip("the layer trains on TensorFlow only")
    inputs = keras.Input((1,), dtype="string")
    hidden = keras.layers.Embedding(3, 2)(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(hidden)))
    model.compile("sgd", "mse")
    import tensorflow as tf

    x = tf.constant([["a"], ["b"], ["a"], ["c"]])
    path = tmp_path / "model.keras"
    saver = ModelCheckpoint(path, save_on_background=True)
    model.fit(x, np.ones((4, 1)), verbose=0, callbacks=[saver])
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_saved_is_the_model_as_it_was(make_model, data, tmp_path, ending, monkeypatch):
    """The thread is held back until the model has been trained further."""
    go, kept = threading.Event(), []
    replacing = _files.replacing

    def waits(path):
        if threading.current_thread() is not threading.main_thread():
            assert go.wait(60)
        return replacing(path)

    monkeypatch.setattr(_files, "replacing", waits)

    class Watches(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1 and batch == 1:
                go.set()

        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())

    path = str(tmp_path / ending)
    saver = checkpoint(path.replace("model", "{epoch}"), save_on_background=True)
    make_model().fit(*data, epochs=2, verbose=0, callbacks=[Watches(), saver])
    for epoch in (1, 2):
        saved = loaded(path.replace("model", str(epoch)), make_model)
        assert_equal(saved, kept[epoch - 1])


def test_an_error_of_the_background_comes_out_of_fit(make_model, data, tmp_path, monkeypatch):
    from fitwatch._keras import saving

    def write(self, path, more):
        raise OSError(28, "No space left on device")

    saver = ModelCheckpoint(
        tmp_path / "m.keras", "loss", save_best_only=True, save_on_background=True
    )
    with monkeypatch.context() as full:
        full.setattr(saving.ModelSnapshot, "write", write)
        with pytest.raises(OSError, match="No space left") as failed:
            make_model().fit(*data, epochs=9, verbose=0, callbacks=[saver])
    assert "m.keras' was not saved" in failed.value.__notes__[0]
    assert saver.best is None
    assert files(tmp_path) == []
    make_model().fit(*data, verbose=0, callbacks=[saver])
    assert files(tmp_path) == ["m.keras"]


def test_an_exception_waits_for_the_file(make_model, data, tmp_path):
    def raises(epoch, logs):
        raise InterruptedError

    listed = [
        ModelCheckpoint(tmp_path / "m.keras", save_on_background=True),
        keras.callbacks.LambdaCallback(on_epoch_end=raises),
    ]
    with fitwatch.enabled(), pytest.raises(InterruptedError):
        make_model().fit(*data, verbose=0, callbacks=listed)
    keras.models.load_model(tmp_path / "m.keras")


def test_the_words_are_those_of_the_foreground(make_model, data, tmp_path, capsys):
    said = []
    for background in (False, True):
        saver = ModelCheckpoint(
            tmp_path / "m.keras", "loss", 1, save_best_only=True, save_on_background=background
        )
        make_model().fit(*data, verbose=0, callbacks=[saver])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "finished saving model" in said[0]


def test_leftovers_in_folders_of_epochs_are_removed(make_model, data, tmp_path):
    dead = tmp_path / "02" / ".fitwatch-0123456789abcdef"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    saver = ModelCheckpoint(tmp_path / "{epoch:02d}" / "m.keras")
    make_model().fit(*data, verbose=0, callbacks=[saver])
    assert files(tmp_path / "02") == []


def test_the_longest_name_there_is(make_model, data, tmp_path):
    path = tmp_path / ("x" * 249 + ".keras")
    saver = ModelCheckpoint(path, save_on_background=True)
    make_model().fit(*data, verbose=0, callbacks=[saver])
    keras.models.load_model(path)


@pytest.mark.parametrize("on", [True, False])
def test_seconds_between_saves(make_model, data, tmp_path, on):
    path = tmp_path / "{epoch}-{batch}.weights.h5"
    for seconds, count in ((1e-9, 12), (datetime.timedelta(hours=1), 0)):
        saver = checkpoint(path, save_interval_seconds=seconds)
        model = make_model()
        with fitwatch.enabled() if on else keras.name_scope("stock"):
            model.fit(*data, batch_size=10, epochs=2, verbose=0, callbacks=[saver])
        found = files(tmp_path)
        # A fast batch may pass without a look at the clock.
        assert len(found) == count if not on or not count else 2 <= len(found) <= count
        for name in found:
            (tmp_path / name).unlink()


def test_a_field_that_nothing_fills_in_is_known_after_the_first_batch(make_model, data, tmp_path):
    saver = checkpoint(tmp_path / "{acc}.weights.h5", save_interval_seconds=3600)
    with pytest.raises(KeyError, match="fields without a value: acc"):
        make_model().fit(*data, verbose=0, callbacks=[saver])


@pytest.mark.parametrize(
    ("filepath", "options", "message"),
    [
        ("m.keras", {"max_to_keep": 2}, "max_to_keep=2 needs a filepath with a field"),
        ("{epoch}.keras", {"max_to_keep": 0}, "max_to_keep must be a whole number of 1 or more"),
        ("{epoch}.keras", {"max_to_keep": 1.5}, "max_to_keep must be"),
        ("gs://b/{epoch}.keras", {"max_to_keep": 2}, "need a filepath on this machine"),
        ("gs://b/m.keras", {"save_on_background": True}, "need a filepath on this machine"),
        ("m.h5", {"save_on_background": True}, r"whole model needs .* ends in \.keras"),
        ("m.weights.h5", {"save_on_background": True}, r"whole model needs .* ends in \.keras"),
        ("m.keras", {"save_on_background": 2}, "save_on_background must be"),
        ("m.keras", {"save_interval_seconds": 0}, "save_interval_seconds must be"),
        ("m.keras", {"save_interval_seconds": 9, "save_freq": 5}, "replaces save_freq"),
        ("m.keras", {"monitor": None}, "monitor must be"),
        ("{epoch}.keras", {"monitor": None, "max_to_keep": 2, "save_best_only": True}, "monitor"),
    ],
)
def test_arguments_are_checked(filepath, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ModelCheckpoint(filepath, **options)


def test_a_model_with_a_save_of_its_own_is_not_saved_in_the_background(make_model, data, tmp_path):
    saver = ModelCheckpoint(tmp_path / "m.keras", save_on_background=True)
    with pytest.raises(ValueError, match=r"overrides save\(\) or save_weights\(\): Fails"):
        fails(make_model).fit(*data, verbose=0, callbacks=[saver])


def test_a_backup_waits_for_the_file_that_it_calls_the_best(make_model, data, tmp_path):
    """Otherwise the process could die before the file exists, and no later value would beat it."""
    there = []

    class Watches(BackupAndRestore):
        def _save_model(self):
            super()._save_model()
            there.append((tmp_path / "best.keras").exists())

    saver = ModelCheckpoint(
        tmp_path / "best.keras", "loss", save_best_only=True, save_on_background=True
    )
    listed = [saver, Watches(tmp_path / "backup")]
    make_model().fit(*data, epochs=2, verbose=0, callbacks=listed)
    assert there == [True, True]
