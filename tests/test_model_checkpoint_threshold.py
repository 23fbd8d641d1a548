"""ModelCheckpoint: the best value, kept in the file and taken from it."""

import math
import subprocess
import sys
import threading
import zipfile

import h5py
import keras
import numpy as np
import pytest
from checkpoints import checkpoint, number_in

from fitwatch.callbacks import BackupAndRestore, CallbackList, ModelCheckpoint

ENDINGS = [".keras", ".h5", ".weights.h5"]


def keeper(path, monitor="loss", **options):
    return checkpoint(
        path, monitor=monitor, save_best_only=True, initial_value_threshold="file", **options
    )


def feed(saver, model, values, first=0, name="loss"):
    """Epochs with these values; the model's first weight is the number of the epoch."""
    saver.set_model(model)
    saver.on_train_begin()
    for epoch, value in enumerate(values, first):
        saver.on_epoch_begin(epoch)
        model.set_weights([np.full_like(w, epoch + 1) for w in model.get_weights()])
        saver.on_epoch_end(epoch, {name: value})
    saver.on_train_end()


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_better_file_of_an_earlier_run_stays(make_model, tmp_path, ending, background):
    if ending == ".h5" and background:
        pytest.skip("Keras writes those, in the foreground")
    path = tmp_path / f"best{ending}"
    for values, best, expected in (
        ([5, 3, 4], 3, 2),
        ([4, 3.5, 3], 3, 2),  # the earlier one is as good
        ([3.5, 0.1 + 0.2], 0.1 + 0.2, 2),
        ([math.nan, 1], 0.1 + 0.2, 2),  # to the last digit
    ):
        saver = keeper(path, save_on_background=background)
        feed(saver, make_model(), values)
        assert saver.best == best
        assert number_in(path, make_model()) == expected


def test_stock_keras_overwrites_it(make_model, tmp_path):
    path = tmp_path / "best.keras"
    for value in (3, 5):
        saver = keras.callbacks.ModelCheckpoint(path, "loss", save_best_only=True)
        feed(saver, make_model(), [value])
    assert saver.best == 5


STOCK_KERAS = """
import sys, keras
for path in sys.argv[1:]:
    if path.endswith(".weights.h5"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.optimizer.build(model.trainable_variables)
        model.load_weights(path)
    else:
        model = keras.models.load_model(path)
    print(model.get_weights()[0].tolist(), int(model.optimizer.iterations))
assert "fitwatch" not in sys.modules
"""


def test_stock_keras_loads_the_files(make_model, data, tmp_path):
    """In one process, since Keras takes seconds to import."""
    paths, expected = [], []
    for ending in ENDINGS:
        path = tmp_path / f"best{ending}"
        model = make_model(optimizer="adam")
        model.fit(*data, verbose=0, callbacks=[keeper(path)])
        again = make_model(optimizer="adam")
        again.optimizer.build(again.trainable_variables)
        again.load_weights(path)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
        paths.append(str(path))
        expected.append(f"{model.get_weights()[0].tolist()} {int(model.optimizer.iterations)}")
    asked = [sys.executable, "-c", STOCK_KERAS, *paths]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == expected


@pytest.mark.parametrize("background", [False, True])
def test_nothing_else_is_written_without_the_argument(make_model, tmp_path, background):
    options = {"monitor": "loss", "save_best_only": True, "save_on_background": background}
    for path in (tmp_path / "m.keras", tmp_path / "m.weights.h5"):
        feed(checkpoint(path, **options), make_model(), [3])
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert "__fitwatch__" not in file


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_says_something_else_is_refused(make_model, tmp_path, ending):
    path = tmp_path / f"best{ending}"
    advice = "Give the value as a number, take another filepath, or move the file away"
    feed(checkpoint(path, monitor="loss", save_best_only=True), make_model(), [3])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"no value of 'loss' .*saved without one.*{advice}"):
        feed(keeper(path), make_model(), [2])
    assert path.read_bytes() == before
    path.write_bytes(before[:100])
    with pytest.raises(ValueError, match=f"no value of 'loss' that can be read.*{advice}"):
        feed(keeper(path), make_model(), [2])
    path.unlink()
    feed(keeper(path), make_model(), [3])
    with pytest.raises(ValueError, match=r"best value of 'loss', not of monitor='accuracy'"):
        feed(keeper(path, "accuracy"), make_model(), [2], name="accuracy")
    with pytest.raises(ValueError, match=r"a best 'loss' of mode='min', not of 'max'"):
        feed(keeper(path, mode="max"), make_model(), [4])


def test_a_direction_that_is_known_at_the_first_decision_only(make_model, data, tmp_path):
    """The metrics of the model are not built when training begins in a user's own loop."""
    path = tmp_path / "best.weights.h5"
    feed(keeper(path, "accuracy", mode="min"), make_model(), [0.5], name="accuracy")
    model = make_model()
    saver = keeper(path, "accuracy")
    saver.set_model(model)
    saver.on_train_begin()
    assert saver.best == 0.5
    model.evaluate(*data, verbose=0)
    saver.on_epoch_begin(0)
    with pytest.raises(ValueError, match=r"a best 'accuracy' of mode='min', not of 'max'"):
        saver.on_epoch_end(0, {"accuracy": 0.9})


def test_a_fit(make_model, data, tmp_path):
    """The values are those of the validation; the direction is found out."""
    path = tmp_path / "best.keras"
    options = {"verbose": 0, "validation_split": 0.2}
    first = keeper(path, "val_accuracy")
    make_model().fit(*data, epochs=2, callbacks=[first], **options)
    before = path.read_bytes()
    second = keeper(path, "val_accuracy")
    model = make_model()
    model.fit(data[0], 1 - data[1], callbacks=[second], **options)
    if second.best == first.best:
        assert path.read_bytes() == before
    assert second.best >= first.best
    assert second.mode == "auto"
    # The same callback once more, and a threshold that was set since counts for nothing.
    second.best = 2.0
    model.fit(*data, epochs=1, callbacks=[second], **options)
    assert first.best <= second.best <= 1


def test_without_a_file_there_is_no_threshold(make_model, tmp_path):
    path = tmp_path / "best.keras"
    saver = keeper(path)
    feed(saver, make_model(), [3])
    path.unlink()
    feed(saver, make_model(), [4])
    assert saver.best == 4
    assert number_in(path, make_model()) == 1


@pytest.mark.filterwarnings("ignore:.*not available")
def test_a_file_without_a_value_that_is_the_callbacks_own(make_model, data, tmp_path):
    path = tmp_path / "best.keras"
    saver = keeper(path, "val_loss")
    model = make_model()
    model.fit(*data, verbose=0, callbacks=[saver])
    assert path.exists()
    model.fit(*data, verbose=0, callbacks=[saver], validation_split=0.2)
    again = keeper(path, "val_loss")
    feed(again, make_model(), [])
    assert again.best == saver.best


def test_the_best_of_a_run_that_goes_on_comes_before_it(make_model, tmp_path):
    path = tmp_path / "best.weights.h5"
    feed(keeper(path), make_model(), [3])
    saver = keeper(path)
    saver.load_state_dict({**saver.state_dict(), "best": 1.5})
    feed(saver, make_model(), [2], 1)
    assert saver.best == 1.5
    assert number_in(path, make_model()) == 1

    model = make_model()
    for epoch, value, best in ((0, 2.5, 2.5), (1, 2, 2)):
        # Another process has made the file better in between, which the backup does not know.
        saver = keeper(path)
        backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        run = CallbackList([saver, backup], model=model)
        run.on_train_begin()
        run.on_epoch_begin(epoch)
        run.on_epoch_end(epoch, {"loss": value})
        assert saver.best == best
        if not epoch:
            feed(keeper(path), make_model(), [0.5])


def test_the_last_model_has_it_where_it_is_the_best(make_model, tmp_path):
    saver = keeper(tmp_path / "best.keras", save_last=True)
    for value, there in ((3, True), (4, False)):
        feed(saver, make_model(), [value])
        with zipfile.ZipFile(tmp_path / "last.keras") as archive:
            assert ("__fitwatch__.json" in archive.namelist()) is there


def test_the_value_is_in_the_same_atomic_save(make_model, tmp_path, monkeypatch):
    """If it cannot be written, the old file is as it was, with its own value."""
    from fitwatch._checkpoint.best_in_file import Best

    for background in (False, True):
        path = tmp_path / f"{background}.keras"
        feed(keeper(path), make_model(), [3])
        before = path.read_bytes()
        with monkeypatch.context() as full:

            def put(self, file):
                raise OSError(28, f"No space left on device: {threading.current_thread().name}")

            full.setattr(Best, "put", put)
            saver = keeper(path, save_on_background=background)
            thread = "fitwatch: save" if background else "MainThread"
            with pytest.raises(OSError, match=f"No space left.*{thread}"):
                feed(saver, make_model(), [2])
        assert path.read_bytes() == before
        assert saver.best == 3


@pytest.mark.parametrize(
    ("filepath", "options"),
    [
        ("m.keras", {"save_best_only": False}),
        ("{epoch}.keras", {}),
        ("gs://bucket/m.keras", {}),
    ],
)
def test_what_it_needs(filepath, options):
    with pytest.raises(ValueError, match=r"'file' needs save_best_only=True and a filepath on"):
        ModelCheckpoint(
            filepath, **{"save_best_only": True, **options}, initial_value_threshold="file"
        )


@pytest.mark.parametrize("value", ["files", "", b"file", True])
def test_no_other_text_is_a_threshold(value):
    with pytest.raises(TypeError, match="must be a number, 'file' or None"):
        ModelCheckpoint("m.keras", save_best_only=True, initial_value_threshold=value)
