"""Third-party code that expects Keras's callbacks: KerasTuner, `isinstance`, copies, subclasses."""

import contextlib
import copy
import inspect
from pathlib import Path

import keras
import keras_tuner
import pytest
import wandb_stand_in
from catalogue import mlflow_logger
from event_reader import read

import fitwatch
from fitwatch import callbacks

STOCK = {name: cls for name, cls in vars(keras.callbacks).items() if inspect.isclass(cls)}
# One of each; OrbaxCheckpoint needs a package that is not among those of the tests.
MAKE = {
    "BackupAndRestore": lambda cls: cls("backup"),
    "BlockLogger": lambda cls: cls(len),
    "CSVLogger": lambda cls: cls("log.csv"),
    "Callback": lambda cls: cls(),
    "EarlyStopping": lambda cls: cls(patience=5),
    "GradientMonitor": lambda cls: cls(),
    "History": lambda cls: cls(),
    "LambdaCallback": lambda cls: cls(),
    "LearningRateMonitor": lambda cls: cls(),
    "LearningRateScheduler": lambda cls: cls(lambda epoch, lr: lr / 2),
    "LossHistory": lambda cls: cls(),
    "MLflowLogger": mlflow_logger,
    "MemoryMonitor": lambda cls: cls(),
    "ModelCheckpoint": lambda cls: cls("best.keras", save_best_only=True),
    "ProgbarLogger": lambda cls: cls(),
    "ReduceLROnPlateau": lambda cls: cls(patience=0, min_delta=1),
    "RemoteMonitor": lambda cls: cls("http://localhost:9"),
    "SpikeDetection": lambda cls: cls(action="rollback"),
    "SwapEMAWeights": lambda cls: cls(),
    "TensorBoard": lambda cls: cls("logs", update_freq=1),
    "TerminateOnNaN": lambda cls: cls(),
    "ThroughputMonitor": lambda cls: cls(),
    "Validation": lambda cls: cls(),
    "WandbLogger": lambda cls: cls(wandb_stand_in.Run()),
}
enabled_or_not = pytest.mark.parametrize("context", [contextlib.nullcontext, fitwatch.enabled])


def make(name):
    return MAKE[name](getattr(callbacks, name))


def state(callback):
    """What is public of a callback, as text; `summary` would import TensorFlow."""
    names = [name for name in dir(callback) if not name.startswith("_") and name != "summary"]
    values = {name: getattr(callback, name) for name in names}
    return {name: repr(value) for name, value in values.items() if not inspect.ismethod(value)}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_there_is_one_of_each():
    assert set(MAKE) == set(callbacks.__all__) - {"CallbackList", "OrbaxCheckpoint"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
@enabled_or_not
def test_a_search_with_keras_tuner(context, make_model, data):
    """It makes deep copies for every trial, and on TensorFlow gives each a `log_dir` of its own."""
    copies = []

    class Stopping(callbacks.EarlyStopping):
        def on_train_begin(self, logs=None):
            super().on_train_begin(logs)
            copies.append(self)

    def build(hp):
        rate = hp.Choice("learning_rate", [0.01, 0.1, 0.3])
        return make_model(optimizer=keras.optimizers.SGD(rate))

    names = ["CSVLogger", "LearningRateScheduler", "LossHistory", "ModelCheckpoint"]
    names += ["ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN"]
    with context():
        ours = [Stopping(patience=5), *map(make, names)]
        before = [state(callback) for callback in ours]
        tuner = keras_tuner.RandomSearch(
            build, "val_loss", max_trials=2, seed=1, directory="search", overwrite=True
        )
        tuner.search(*data, validation_split=0.25, epochs=2, verbose=0, callbacks=ours)

    assert [state(callback) for callback in ours] == before
    assert len({id(each) for each in copies} - {id(ours[0])}) == 2
    trials = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    assert [trial.score for trial in trials] == pytest.approx(sorted(each.best for each in copies))
    assert len(tuner.get_best_models(2)) == 2

    assert len(Path("log.csv").read_text().splitlines()) == 3
    assert keras.models.load_model("best.keras").count_params() == 10
    folders = [Path("logs")]
    if keras.config.backend() == "tensorflow":
        folders = [Path("logs", trial.trial_id, "execution0") for trial in trials]
    for folder in folders:
        assert {"epoch_loss", "batch_loss"} <= set(read(folder / "train"))
        assert "epoch_loss" in read(folder / "validation")


@enabled_or_not
@pytest.mark.parametrize("name", MAKE)
def test_isinstance_knows_every_drop_in(context, name):
    ours = make(name)
    stock = STOCK.get(name, keras.callbacks.Callback)
    assert isinstance(ours, stock)
    with context():
        assert isinstance(ours, getattr(keras.callbacks, name, keras.callbacks.Callback))


@pytest.mark.parametrize("name", MAKE)
def test_a_deep_copy_is_the_same_again(name):
    ours = make(name)
    copied = copy.deepcopy(ours)
    assert type(copied) is type(ours)
    assert vars(copied).keys() == vars(ours).keys()
    assert state(copied) == state(ours)


@enabled_or_not
def test_on_epoch_end_of_a_subclass_is_called_in_every_epoch(context, make_model, data):
    seen = []

    def subclass(name):
        class Mine(getattr(callbacks, name)):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, logs)
                seen.append((name, epoch))

        return Mine

    with context():
        ours = [MAKE[name](subclass(name)) for name in MAKE]
        before = [state(callback) for callback in ours]
        copies = copy.deepcopy(ours)
        model = make_model(optimizer=keras.optimizers.SGD(use_ema=True))
        with pytest.warns(UserWarning, match="Could not reach RemoteMonitor"):  # no server
            model.fit(*data, validation_split=0.25, epochs=3, verbose=0, callbacks=copies)
    assert seen == [(name, epoch) for epoch in range(3) for name in MAKE]
    assert [state(callback) for callback in ours] == before
