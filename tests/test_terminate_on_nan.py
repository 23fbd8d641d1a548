"""TerminateOnNaN: the batch and metric it reports, and the files it protects."""

import contextlib
import csv

import keras
import numpy as np
import pytest
from scalars import LateScalar, late_reader, use

import fitwatch
from fitwatch import callbacks

NAN = float("nan")


@pytest.fixture(params=[True, False], ids=["compiled", "stock list"])
def on(request):
    """Whether fitwatch is enabled."""
    return fitwatch.enabled if request.param else contextlib.nullcontext


def spoiled_model(learning_rate=0.1):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse", metrics=["mae"])
    return model


def good_then_bad(bad=np.nan):
    """10 batches of 4; the target of the sixth is bad."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.ones(40)
    y[20:24] = bad
    return {"x": x, "y": y, "batch_size": 4, "shuffle": False, "verbose": 0}


def finite(weights):
    return all(np.isfinite(weight).all() for weight in weights)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_batch_is_named(on, bad, capsys):
    with on():
        spoiled_model().fit(**good_then_bad(bad), epochs=3, callbacks=[callbacks.TerminateOnNaN()])
    assert capsys.readouterr().out == "Batch 5: Invalid loss, terminating training\n"


def test_an_error_names_the_batch_and_the_value(on):
    terminate = callbacks.TerminateOnNaN(raise_error=True)
    with on(), pytest.raises(RuntimeError, match=r"loss encountered at batch 5\. Loss value: nan"):
        spoiled_model().fit(**good_then_bad(), epochs=3, callbacks=[terminate])


def test_messages_are_those_of_keras(stand_in, capsys):
    said = []
    for module in (callbacks, keras.callbacks):
        terminate, raising = module.TerminateOnNaN(), module.TerminateOnNaN(raise_error=True)
        for callback in (terminate, raising):
            callback.set_model(stand_in())
            callback.on_train_begin()
        terminate.on_batch_end(3, {"loss": NAN})
        with pytest.raises(RuntimeError) as error:
            raising.on_batch_end(3, {"loss": float("inf")})
        said.append((capsys.readouterr().out, str(error.value), terminate._model.stop_training))
    assert said[0] == said[1]


def test_the_batch_is_named_where_values_come_late(monkeypatch, stand_in, capsys):
    use(monkeypatch, late_reader())
    model = stand_in()
    callback_list = callbacks.CallbackList([callbacks.TerminateOnNaN()], model=model)
    callback_list.on_train_begin()
    for batch in range(60):
        callback_list.on_train_batch_end(batch, {"loss": LateScalar(NAN if batch >= 30 else 1.0)})
        if model.stop_training:
            break
    assert 30 <= batch <= 47
    assert capsys.readouterr().out == "Batch 30: Invalid loss, terminating training\n"


@pytest.mark.parametrize("monitor", ["mae", ["mae"], ["loss", "mae"]])
def test_another_metric(on, monitor, capsys):
    def mae(y_true, y_pred):
        # As large as the target in the bad batch.
        return keras.ops.mean(y_true) * keras.ops.mean(y_true)

    model = spoiled_model()
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean(y_pred**2), metrics=[mae])
    terminate = callbacks.TerminateOnNaN(monitor=monitor)
    with on():
        history = model.fit(**good_then_bad(np.inf), epochs=3, callbacks=[terminate])
    assert capsys.readouterr().out == "Batch 5: Invalid mae, terminating training\n"
    assert len(history.epoch) == 1


def test_a_metric_of_the_epoch(on, capsys):
    model = spoiled_model()
    arguments = good_then_bad(1.0)
    with on():
        history = model.fit(
            **arguments,
            epochs=3,
            validation_data=(arguments["x"][:4], np.full(4, np.nan)),
            callbacks=[callbacks.TerminateOnNaN(monitor=["loss", "val_loss"])],
        )
    assert capsys.readouterr().out == "Epoch 1: Invalid val_loss, terminating training\n"
    assert len(history.epoch) == 1


def test_a_metric_that_nobody_has_is_reported_once(on):
    terminate = callbacks.TerminateOnNaN(monitor=["loss", "mea"])
    with on(), pytest.warns(UserWarning, match="'mea' is not available.*Nearest: 'mae'") as warned:
        spoiled_model().fit(**good_then_bad(1.0), epochs=3, callbacks=[terminate])
    assert len([w for w in warned if "mea" in str(w.message)]) == 1


@pytest.mark.parametrize("first", [True, False], ids=["watcher first", "watcher last"])
@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_the_last_finite_checkpoint_stays(on, tmp_path, first, save_freq):
    path = tmp_path / "model.weights.h5"
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=save_freq)
    listed = [checkpoint, callbacks.TerminateOnNaN()]
    model = spoiled_model()
    arguments = good_then_bad()
    with on():
        good = {**arguments, "y": np.ones(40)}
        model.fit(**good, epochs=1, callbacks=[checkpoint])
        with pytest.warns(UserWarning, match="ModelCheckpoint: the model is not saved") as warned:
            model.fit(**arguments, epochs=2, callbacks=listed[::-1] if first else listed)
    assert len([w for w in warned if "not saved" in str(w.message)]) == 1
    assert not finite(model.get_weights())
    model.load_weights(path)
    assert finite(model.get_weights())
    assert int(model.optimizer.iterations) == (15 if save_freq == 1 else 10)


def test_the_checkpoint_of_a_last_step_that_spoiled_the_weights_is_not_saved(on, tmp_path):
    """The loss of that step is finite: it is the next one that is not."""
    path = tmp_path / "model.weights.h5"
    model = spoiled_model(learning_rate=3e38)
    arguments = {**good_then_bad(1.0), "y": np.full(40, 9.0), "batch_size": 40}
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True)
    with on():
        model.fit(**arguments, epochs=1, callbacks=[callbacks.TerminateOnNaN(), checkpoint])
        assert not finite(model.get_weights())
        assert not path.exists()
        model.fit(**arguments, epochs=1, callbacks=[checkpoint])  # no error
        assert path.exists()


def test_the_next_fit_saves_again(on, tmp_path):
    path = tmp_path / "{epoch}.weights.h5"
    listed = [callbacks.TerminateOnNaN(), callbacks.ModelCheckpoint(path, save_weights_only=True)]
    arguments = good_then_bad()
    with on():
        spoiled_model().fit(**arguments, epochs=1, callbacks=listed)
        assert not list(tmp_path.iterdir())
        spoiled_model().fit(**{**arguments, "y": np.ones(40)}, epochs=1, callbacks=listed)
    assert [file.name for file in tmp_path.iterdir()] == ["1.weights.h5"]


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("raise_error", [True, False])
def test_the_backup_stays(on, tmp_path, raise_error, save_freq):
    folder = tmp_path / "backup"
    model = spoiled_model()
    arguments = good_then_bad()
    backup = callbacks.BackupAndRestore(str(folder), save_freq=save_freq, delete_checkpoint=False)
    with on():
        good = {**arguments, "y": np.ones(40)}
        model.fit(**good, epochs=1, callbacks=[backup])
        before = (folder / "training_metadata.json").read_text()
        backup.delete_checkpoint = True
        terminate = callbacks.TerminateOnNaN(raise_error=raise_error)
        error = pytest.raises(RuntimeError) if raise_error else contextlib.nullcontext()
        with error:
            model.fit(**arguments, epochs=3, callbacks=[backup, terminate])
    assert not finite(model.get_weights())
    if save_freq == "epoch":
        assert (folder / "training_metadata.json").read_text() == before
    model.load_weights(folder / "latest.weights.h5")
    assert finite(model.get_weights())


def test_a_backup_is_deleted_when_all_is_well(on, tmp_path):
    folder = tmp_path / "backup"
    listed = [callbacks.TerminateOnNaN(), callbacks.BackupAndRestore(str(folder))]
    with on():
        spoiled_model().fit(**good_then_bad(1.0), epochs=2, callbacks=listed)
    assert not folder.exists()


def test_validation_and_the_row_of_the_epoch_still_happen(on, tmp_path):
    arguments = good_then_bad()
    logger = callbacks.CSVLogger(tmp_path / "log.csv")
    with on():
        history = spoiled_model().fit(
            **arguments,
            epochs=3,
            validation_data=(arguments["x"][:4], arguments["y"][:4]),
            callbacks=[callbacks.TerminateOnNaN(), logger],
        )
    assert len(history.history["val_loss"]) == 1
    with open(tmp_path / "log.csv", newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["nan"]


def test_weights_that_are_infinite_on_purpose_are_saved(on, tmp_path):
    class Masked(keras.layers.Layer):
        def build(self, shape):
            self.mask = self.add_weight(shape=(2,), trainable=False)

        def call(self, x):
            return x + keras.ops.maximum(self.mask, 0.0)

    masked = Masked()
    model = keras.Sequential([keras.Input((2,)), masked, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    masked.mask.assign(np.array([0.0, -np.inf]))
    path = tmp_path / "model.weights.h5"
    listed = [callbacks.TerminateOnNaN(), callbacks.ModelCheckpoint(path, save_weights_only=True)]
    with on():
        model.fit(**good_then_bad(1.0), epochs=1, callbacks=listed)
    assert path.exists()


def test_one_of_keras_s_own_in_the_list(tmp_path):
    """Made before `enable()`: it ends the training, and guards nothing."""
    stock = keras.callbacks.TerminateOnNaN()
    with fitwatch.enabled():
        checkpoint = callbacks.ModelCheckpoint(
            tmp_path / "model.weights.h5", save_weights_only=True
        )
        history = spoiled_model().fit(**good_then_bad(), epochs=3, callbacks=[stock, checkpoint])
    assert len(history.epoch) == 1


def test_who_goes_on_all_the_same_is_stopped_again_and_saves_again(on, tmp_path):
    class GoesOn(keras.callbacks.Callback):
        stopped = 0

        def on_train_batch_end(self, batch, logs=None):
            if self.model.stop_training:
                self.stopped += 1
                self.model.stop_training = False
                self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])

    goes_on = GoesOn()
    path = tmp_path / "{epoch}.weights.h5"
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True)
    arguments = good_then_bad()
    model = spoiled_model()

    at_once = {"max_lag": 0} if on is fitwatch.enabled else {}
    with on(**at_once), pytest.warns(UserWarning, match="not saved"):
        listed = [callbacks.TerminateOnNaN(), goes_on, checkpoint]
        model.fit(**arguments, epochs=1, callbacks=listed)
        assert goes_on.stopped == 5  # the mean of the epoch is NaN from the sixth batch on
        model.fit(**{**arguments, "y": np.ones(40)}, epochs=2, callbacks=listed)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.weights.h5", "2.weights.h5"]


def test_a_list_of_ones_own_that_was_made_before_an_evaluation(tmp_path):
    """Only the TerminateOnNaN of the list that trains counts."""
    path = tmp_path / "model.weights.h5"
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True)
    model = spoiled_model()
    listed = [callbacks.TerminateOnNaN(), checkpoint]
    own = callbacks.CallbackList(listed, model=model, add_history=True)
    arguments = good_then_bad()
    model.evaluate(arguments["x"], np.ones(40), verbose=0, callbacks=[checkpoint])
    other = callbacks.CallbackList([checkpoint], model=model)
    with pytest.warns(UserWarning, match="not saved"):
        model.fit(**arguments, epochs=1, callbacks=own)
    assert not path.exists()
    assert other.callbacks


@pytest.mark.parametrize("first", [True, False], ids=["watcher first", "watcher last"])
def test_a_backup_of_an_epoch_whose_validation_is_spoiled(on, tmp_path, first):
    folder = tmp_path / "backup"
    listed = [
        callbacks.BackupAndRestore(str(folder)),
        callbacks.TerminateOnNaN(monitor=["loss", "val_loss"]),
    ]
    arguments = good_then_bad(1.0)
    with on(), pytest.warns(UserWarning, match="BackupAndRestore: the model is not saved"):
        spoiled_model().fit(
            **arguments,
            epochs=2,
            validation_data=(arguments["x"][:4], np.full(4, np.nan)),
            callbacks=listed[::-1] if first else listed,
        )
    assert not folder.exists()


def test_no_save_is_announced_that_does_not_happen(on, tmp_path, capsys):
    checkpoint = callbacks.ModelCheckpoint(
        tmp_path / "x.weights.h5", "loss", save_best_only=True, save_weights_only=True, verbose=1
    )
    arguments = {**good_then_bad(), "y": np.full(40, 9.0), "batch_size": 40}
    with on(), pytest.warns(UserWarning, match="not saved"):
        spoiled_model(learning_rate=3e38).fit(
            **arguments, epochs=1, callbacks=[callbacks.TerminateOnNaN(), checkpoint]
        )
    assert "saving model" not in capsys.readouterr().out
    assert checkpoint.best is None


def test_a_metric_that_is_an_array_is_saved_on_as_without_a_watcher(stand_in, tmp_path):
    checkpoint = callbacks.ModelCheckpoint(
        tmp_path / "x.keras", monitor="each", mode="min", save_best_only=True
    )
    model = stand_in()
    model.trainable_variables = []
    callback_list = callbacks.CallbackList([checkpoint, callbacks.TerminateOnNaN()], model=model)
    callback_list.on_train_begin()
    with pytest.warns(UserWarning, match="is a scalar value"):
        callback_list.on_epoch_end(0, {"loss": 0.5, "each": np.array([1.0, 2.0])})
    assert len(model.saved) == 1
