"""Ctrl-C at any moment of a training with everything on: one press is enough."""

import atexit
import os
import random
import signal
import time

import keras
import numpy as np
import pytest
from backups import EnoughError
from csv_files import read
from event_reader import runs
from killed import KILLS, Child

import fitwatch
from fitwatch.callbacks import (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LossHistory,
    ModelCheckpoint,
    TensorBoard,
)

# Batches between two backups; an epoch has three.
BACKUP = 7


def make_model():
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", keras.losses.MeanSquaredError())
    return model


def callbacks_in(folder):
    return [
        EarlyStopping("loss", patience=10**6, restore_best_weights=True),
        ModelCheckpoint(os.path.join(folder, "model.keras"), save_on_background=True),
        CSVLogger(os.path.join(folder, "log.csv"), update_freq="batch"),
        TensorBoard(os.path.join(folder, "logs"), update_freq="batch", write_graph=False),
        BackupAndRestore(os.path.join(folder, "backup"), save_freq=BACKUP),
        LossHistory(),
    ]


def train(model, callbacks):
    rng = np.random.default_rng(0)
    model.fit(
        rng.normal(size=(60, 4)),
        rng.normal(size=(60, 1)),
        batch_size=10,
        validation_split=0.5,
        epochs=10**6,
        verbose=0,
        callbacks=callbacks,
    )


def trains(say, folder):
    """Trains until Ctrl-C; reports when training begins and when an epoch has ended."""
    fitwatch.enable()
    model = make_model()
    says = LambdaCallback(
        on_train_begin=lambda logs: say("training"),
        on_epoch_end=lambda epoch, logs: epoch == 0 and say("an epoch"),
    )
    callbacks = [*callbacks_in(folder), says]
    try:
        train(model, callbacks)
    except KeyboardInterrupt:
        finite = all(np.isfinite(weights).all() for weights in model.get_weights())
        (history,) = [one for one in callbacks if isinstance(one, LossHistory)]
        say((finite, int(model.optimizer.iterations), history.losses.tolist()))
    # What happens at the end of a program: this one is part of another.
    atexit._run_exitfuncs()


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_one_press_ends_it_and_every_file_is_complete(tmp_path, model):
    random.seed(0)
    for press in range(KILLS):
        folder = tmp_path / str(press)
        with Child(trains, str(folder)) as child:
            assert child.hear() == "training"
            # The first batch takes long, and so every other press comes later.
            if press % 2:
                assert child.hear() == "an epoch"
            time.sleep(random.random() / (10 if press % 2 else 1))
            os.kill(child.pid, signal.SIGINT)
            heard = child.hear_all()
            assert child.exit_code() == 0
        finite, batches, losses = heard[-1]
        assert finite
        assert len(losses) == batches
        check_files(folder, batches, losses)
        if (folder / "backup").exists():
            # The one of the last batch may not have been made any more.
            last = taken_up(model, folder)
            assert last % BACKUP == 0
            assert batches - BACKUP <= last <= batches


def check_files(folder, batches, losses):
    """The files have every batch that was trained."""
    rows = [row for row in read(folder / "log.csv")[1:] if row[1] != "NA"]
    assert [(int(row[0]), int(row[1])) for row in rows] == [divmod(n, 3) for n in range(batches)]
    points = runs(folder / "logs").get("train", {}).get("batch_loss", (0, 0, []))[2]
    assert [step for step, _ in points] == list(range(1, batches + 1))
    assert len(losses) == batches
    if (folder / "model.keras").exists():
        keras.models.load_model(folder / "model.keras")
    assert not [name for name in os.listdir(folder) if name.startswith(".fitwatch-")]


def taken_up(model, folder):
    """The number of trained batches at which training resumes."""
    found = []

    def begins(epoch, logs):
        found.append(int(model.optimizer.iterations))
        raise EnoughError

    with fitwatch.enabled(), pytest.raises(EnoughError):
        train(model, [*callbacks_in(folder), LambdaCallback(on_epoch_begin=begins)])
    return found[0]
