"""Runs that are interrupted and resumed make the same decisions as uninterrupted ones.

The loop is one of our own, so that the values that callbacks see are random series; the model, the
callbacks, the backups and their files are real. An interruption is an exception in a hook of a
callback somewhere in the list; what comes after it begins from nothing but the files.
"""

import os
import random

import keras
import numpy as np
import pytest

from fitwatch import callbacks

# More in `make test-parity`.
RUNS = 200 if "FITWATCH_SERIES" in os.environ else 20
EPOCHS = 12


class Interrupts(keras.callbacks.Callback):
    """Raises in a hook of an epoch."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        if self.at == ("begin", epoch):
            raise InterruptedError

    def on_epoch_end(self, epoch, logs=None):
        if self.at == ("end", epoch):
            raise InterruptedError


class Own(keras.callbacks.Callback):
    """A user's callback with a state; it resets itself when training begins."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs["val_loss"])

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def listed(folder, options):
    """The callbacks of a run, in its order."""
    made = {
        "stop": callbacks.EarlyStopping(
            patience=options["patience"],
            min_delta=options["min_delta"],
            halflife=options["halflife"],
            restore_best_weights=True,
        ),
        "reduce": callbacks.ReduceLROnPlateau(
            patience=options["patience"] // 2,
            cooldown=options["cooldown"],
            min_delta=options["min_delta"],
        ),
        "schedule": callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        "best": callbacks.ModelCheckpoint(
            folder / "best.weights.h5", save_best_only=True, save_weights_only=True
        ),
        "kept": callbacks.ModelCheckpoint(
            folder / "{epoch}.weights.h5", save_weights_only=True, max_to_keep=2
        ),
        "log": callbacks.CSVLogger(folder / "log.csv", append=options["append"]),
        "own": Own(),
        "backup": callbacks.BackupAndRestore(
            folder / "backup", double_checkpoint=options["double"], delete_checkpoint=False
        ),
    }
    return {name: made[name] for name in options["order"]}


def train(model, folder, options, interrupt=None):
    """Trains until the end or the interruption; gives what was decided in each epoch."""
    model.set_weights([np.full(w.shape, -1.0) for w in model.get_weights()])
    model.optimizer.learning_rate = 0.1
    model.stop_training = False
    made = listed(folder, options)
    position, at = interrupt or (0, None)
    chosen = list(made.values())
    chosen.insert(position, Interrupts(at))
    module = callbacks if options["compiled"] else keras.callbacks
    run = module.CallbackList(chosen, model=model)
    decided = {}
    run.on_train_begin()
    for epoch in range(model._initial_epoch or 0, EPOCHS):
        run.on_epoch_begin(epoch)
        for weight in model.weights:
            weight.assign(np.full(weight.shape, float(epoch)))
        run.on_epoch_end(epoch, {"val_loss": options["series"][epoch]})
        decided[epoch] = (
            round(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)), 9),
            made["stop"].wait,
            made["stop"].best,
            made["reduce"].cooldown_counter,
            made["best"].best,
            list(made["own"].seen),
            model.stop_training,
        )
        if model.stop_training:
            break
    run.on_train_end()
    return decided


def files(folder):
    """What a run leaves: names and content, weights as numbers."""
    found = {}
    for path in folder.glob("*.*"):
        content = path.read_text() if path.suffix != ".h5" else weights(path)
        found[path.name] = content
    return found


def weights(path):
    import h5py

    values = []
    with h5py.File(path) as file:
        file["layers"].visititems(
            lambda name, item: values.append(item[()].tolist()) if "vars/" in name else None
        )
    return values


@pytest.mark.parametrize("number", range(RUNS))
def test_an_interrupted_run_decides_as_one_that_was_not(model, tmp_path, number):
    rng = random.Random(number)
    order = ["stop", "reduce", "schedule", "best", "kept", "log", "own", "backup"]
    rng.shuffle(order)
    options = {
        "order": order,
        "patience": rng.randint(2, 6),
        "cooldown": rng.randint(0, 3),
        "min_delta": rng.choice([0, 0.05]),
        "halflife": rng.choice([None, 2]),
        "append": rng.random() < 0.5,
        "double": rng.random() < 0.5,
        "compiled": rng.random() < 0.5,
        "series": [round(1 / (1 + epoch) + rng.gauss(0, 0.2), 3) for epoch in range(EPOCHS)],
    }
    whole, folder = tmp_path / "whole", tmp_path / "interrupted"
    expected = train(model, whole, options)
    last_weights = model.get_weights()
    interrupts = [
        (rng.randint(0, len(order)), (rng.choice(["begin", "end"]), rng.randrange(EPOCHS)))
        for _ in range(rng.randint(1, 3))
    ]
    for interrupt in [*interrupts, None]:
        try:
            decided = train(model, folder, options, interrupt)
            break
        except InterruptedError:
            model._initial_epoch = None  # another process
    assert decided == {epoch: expected[epoch] for epoch in decided}
    if decided:
        assert max(decided) == max(expected)
    for one, other in zip(model.get_weights(), last_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    left, right = files(folder), files(whole)
    assert left.keys() == right.keys()
    for name, content in left.items():
        assert content == (
            right[name].replace("whole", "interrupted") if "index" in name else right[name]
        )
