"""Scripts from Keras's tutorials, with `callbacks` from fitwatch."""

import os

import keras
import numpy as np
import pytest

from fitwatch import callbacks


@pytest.fixture(params=["arrays", "dataset of unknown length"])
def fit_arguments(request, data):
    if request.param == "arrays":
        x, y = data
        return {"x": x[:40], "y": y[:40], "batch_size": 8, "validation_data": (x[40:], y[40:])}
    tf = pytest.importorskip("tensorflow")

    def dataset(samples):
        whole = tf.data.Dataset.from_tensor_slices(samples)
        known = whole.filter(lambda x, y: True).batch(8)
        assert known.cardinality() == tf.data.UNKNOWN_CARDINALITY
        return known

    x, y = data
    return {"x": dataset((x[:40], y[:40])), "validation_data": dataset((x[40:], y[40:]))}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_best_weights_early_stopping_and_tensorboard(make_model, fit_arguments):
    my_callbacks = [
        callbacks.ModelCheckpoint(
            filepath="best.weights.h5",
            save_weights_only=True,
            monitor="val_acc",
            save_best_only=True,
        ),
        callbacks.EarlyStopping(
            monitor="val_acc", min_delta=0.1, patience=3, restore_best_weights=True
        ),
        callbacks.TensorBoard(),
    ]
    model = make_model(metrics=["acc"])
    history = model.fit(**fit_arguments, epochs=30, verbose=0, callbacks=my_callbacks)

    val_acc = history.history["val_acc"]
    stopper = my_callbacks[1]
    assert len(val_acc) == stopper.stopped_epoch + 1 < 30
    assert stopper.best == val_acc[stopper.best_epoch]
    restored = model.evaluate(*_validation(fit_arguments), verbose=0, return_dict=True)["acc"]
    assert restored == pytest.approx(stopper.best)

    best = make_model(metrics=["acc"])
    best.load_weights("best.weights.h5")
    reached = best.evaluate(*_validation(fit_arguments), verbose=0, return_dict=True)["acc"]
    assert reached == pytest.approx(max(val_acc))
    assert os.listdir("logs/train")
    assert os.listdir("logs/validation")


def _validation(fit_arguments):
    data = fit_arguments["validation_data"]
    return data if isinstance(data, tuple) else (data,)


def test_a_path_without_the_weights_suffix_is_keras_error():
    with pytest.raises(ValueError, match="the filepath provided must end in") as ours:
        callbacks.ModelCheckpoint("best.h5", save_weights_only=True)
    with pytest.raises(ValueError, match="must end in") as theirs:
        keras.callbacks.ModelCheckpoint("best.h5", save_weights_only=True)
    assert str(ours.value) == str(theirs.value)


def test_early_stopping_with_the_best_model(make_model, fit_arguments):
    callbacks_list = [
        callbacks.EarlyStopping(monitor="val_accuracy", patience=2),
        callbacks.ModelCheckpoint(filepath="model.keras", monitor="val_loss", save_best_only=True),
    ]
    model = make_model()
    history = model.fit(**fit_arguments, epochs=30, verbose=0, callbacks=callbacks_list)
    loaded = keras.models.load_model("model.keras")
    loss, _ = loaded.evaluate(*_validation(fit_arguments), verbose=0)
    assert loss == pytest.approx(min(history.history["val_loss"]), rel=1e-5)
    assert callbacks_list[0].stopped_epoch + 1 == len(history.epoch)


def test_a_loss_history_of_ones_own(make_model, fit_arguments):
    """A subclass of Callback, as the second tutorial writes it; and the same in one line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    class LossHistory(callbacks.Callback):
        def on_train_begin(self, logs):
            self.per_batch_losses = []

        def on_batch_end(self, batch, logs):
            self.per_batch_losses.append(logs.get("loss"))

        def on_epoch_end(self, epoch, logs):
            plt.clf()
            plt.plot(range(len(self.per_batch_losses)), self.per_batch_losses, label="Потери")
            plt.xlabel(f"Batch (epoch {epoch})")
            plt.ylabel("Loss")
            plt.legend()
            plt.savefig(f"plot_at_epoch_{epoch}")
            collected.append(self.per_batch_losses)
            self.per_batch_losses = []

    collected = []
    in_one_line = callbacks.LossHistory(plot="ours/plot_at_epoch_{epoch}.png", loss="running")
    make_model().fit(**fit_arguments, epochs=3, verbose=0, callbacks=[LossHistory(), in_one_line])
    names = [f"plot_at_epoch_{epoch}.png" for epoch in range(3)]
    assert sorted(name for name in os.listdir() if name.endswith("png")) == names
    assert sorted(os.listdir("ours")) == names
    for epoch, losses in enumerate(collected):
        assert len(losses) == 5
        np.testing.assert_array_equal(in_one_line.epoch(epoch), np.array(losses, dtype="float32"))
