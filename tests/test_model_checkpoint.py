"""ModelCheckpoint, beyond what it shares with the other monitors."""

import os

import keras
import numpy as np
import pytest
from warned import no_warnings

from fitwatch.callbacks import ModelCheckpoint


def test_a_missing_metric_overwrites_nothing(make_model, data, tmp_path):
    """Keras saves in every epoch, over the best model too."""
    path = tmp_path / "best.keras"
    path.write_text("precious")
    checkpoint = ModelCheckpoint(path, monitor="speed", mode="max", save_best_only=True)
    with pytest.warns(UserWarning, match="'speed' is not available"):
        make_model().fit(*data, epochs=2, verbose=0, callbacks=[checkpoint])
    assert path.read_text() == "precious"


def test_a_missing_metric_saves_where_there_is_no_file_yet(make_model, data, tmp_path):
    checkpoint = ModelCheckpoint(
        tmp_path / "{epoch}.keras", monitor="speed", mode="max", save_best_only=True
    )
    with pytest.warns(UserWarning, match="not available"):
        make_model().fit(*data, epochs=2, verbose=0, callbacks=[checkpoint])
    assert sorted(os.listdir(tmp_path)) == ["1.keras", "2.keras"]


def test_the_best_of_batches_is_kept(make_model, data, tmp_path):
    """Keras raises a TypeError at the second decision of the first epoch."""
    path = tmp_path / "{epoch}-{batch}.weights.h5"
    options = {"monitor": "loss", "save_best_only": True, "save_weights_only": True}
    losses = []

    class Watches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append((f"{len(losses) // 6 + 1}-{batch + 1}", logs["loss"]))

    model = make_model()
    model.fit(
        *data,
        batch_size=10,
        epochs=3,
        verbose=0,
        callbacks=[Watches(), ModelCheckpoint(path, save_freq=2, **options)],
    )
    best, expected = np.inf, []
    for name, loss in losses[1::2]:
        if loss < best:
            best = loss
            expected.append(f"{name}.weights.h5")
    assert sorted(os.listdir(tmp_path)) == sorted(expected)
    assert len(expected) > 2


@pytest.mark.parametrize("folder", ["new", "new/{epoch}", "a/b/c"])
def test_a_missing_folder_is_made(make_model, data, tmp_path, folder):
    checkpoint = ModelCheckpoint(tmp_path / folder / "model.keras")
    make_model().fit(*data, verbose=0, callbacks=[checkpoint])
    path = tmp_path / folder.format(epoch=1) / "model.keras"
    keras.models.load_model(path)


def test_a_folder_that_cannot_be_made_is_known_before_training(make_model, data, tmp_path):
    (tmp_path / "file").write_text("")
    checkpoint = ModelCheckpoint(tmp_path / "file" / "model.keras")
    trained = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: trained.append(1)
    )
    with pytest.raises(OSError, match=r"filepath: the folder .*file"):
        make_model().fit(*data, verbose=0, callbacks=[checkpoint, watch])
    assert not trained


def test_a_path_that_is_a_folder_is_known_before_training(make_model, data, tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(IsADirectoryError, match=r"filepath must be a file.*model\.keras"):
        make_model().fit(*data, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "model.keras")])


def test_a_field_that_nothing_fills_in_is_an_error_in_the_first_epoch(make_model, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{val_acc}.keras", "loss", save_best_only=True)
    with pytest.raises(KeyError, match=r"val_acc.*Available: epoch, accuracy, loss"):
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[checkpoint])


def test_with_an_integer_save_freq_after_the_first_batch(make_model, data, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{batch}-{val_loss}.keras", save_freq=10**9)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    with pytest.raises(KeyError, match=r"val_loss.*Available: epoch, batch, accuracy, loss"):
        make_model().fit(*data, verbose=0, callbacks=[watch, checkpoint])
    assert seen == [0]


def test_a_field_that_an_earlier_callback_adds_is_filled_in(make_model, data, tmp_path):
    adds = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(f1=0.5))
    checkpoint = ModelCheckpoint(tmp_path / "{f1:.2f}.keras")
    make_model().fit(*data, verbose=0, callbacks=[adds, checkpoint])
    assert os.listdir(tmp_path) == ["0.50.keras"]


def test_save_model_can_be_overridden(make_model, data):
    class Counts(ModelCheckpoint):
        calls = 0

        def _save_model(self, epoch, batch, logs):
            self.calls += 1

    checkpoint = Counts("never.keras")
    make_model().fit(*data, epochs=3, verbose=0, callbacks=[checkpoint])
    assert checkpoint.calls == 3


def test_should_save_on_batch_can_be_overridden(make_model, data):
    asked = []

    class Asks(ModelCheckpoint):
        def _should_save_on_batch(self, batch):
            asked.append(batch)
            return False

        def _save_model(self, epoch, batch, logs):
            pass

    make_model().fit(*data, batch_size=20, verbose=0, callbacks=[Asks("never.keras")])
    assert asked == [0, 1, 2]


def test_the_best_survives_from_one_fit_to_the_next(make_model, data, tmp_path):
    """As in Keras: only EarlyStopping and ReduceLROnPlateau start over."""
    checkpoint = ModelCheckpoint(tmp_path / "x.keras", "loss", save_best_only=True)
    model = make_model()
    model.fit(*data, verbose=0, callbacks=[checkpoint])
    best = checkpoint.best
    with no_warnings():
        model.fit(*data, verbose=0, callbacks=[checkpoint])
    assert checkpoint.best < best
