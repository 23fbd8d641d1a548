"""Runs that are resumed beside Keras's own callbacks that change weights or keep a state."""

import itertools

import keras
import numpy as np
import pytest
from crashes import Crashes

from fitwatch import callbacks

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
EPOCHS, BATCHES = 4, 5


def make_model(kind="adam"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5)
    if kind == "loss scaling":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "mse")
    return model


def weights(model):
    """Of the model and its optimizer."""
    return [keras.ops.convert_to_numpy(v) for v in (*model.weights, *model.optimizer.variables)]


class Begins(keras.callbacks.Callback):
    """Keeps the weights that each epoch begins with, once all callbacks have seen it begin."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.seen[self.epoch] = weights(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def run(folder, order, *, crash=None, epochs=EPOCHS, kind="adam", swap_on_epoch=True, **backup):
    """A run whose callbacks are in some order; it crashes after `crash` batches."""
    model, begins = make_model(kind), Begins()
    made = {
        "swap": keras.callbacks.SwapEMAWeights(swap_on_epoch),
        "backup": callbacks.BackupAndRestore(folder / "backup", **backup),
        "stopping": callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True),
        "checkpoint": callbacks.ModelCheckpoint(folder / "best.weights.h5", "loss", 0, True, True),
    }
    listed = [made[name] for name in order] + [begins]
    if crash is not None:
        listed.append(Crashes(crash))
    try:
        model.fit(
            X, Y, epochs=epochs, batch_size=8, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=listed,
        )  # fmt: skip
    except InterruptedError:
        assert crash is not None
    return model, begins.seen, made


def equal(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


ORDERS = list(itertools.permutations(["swap", "backup", "stopping"]))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_averages_are_no_trained_weights_in_any_order(order, tmp_path):
    """Bit by bit: what every epoch begins with, and what the run ends with."""
    whole, expected, uninterrupted = run(tmp_path / "whole", order)
    run(tmp_path / "killed", order, crash=12)
    resumed, seen, made = run(tmp_path / "killed", order)
    assert sorted(seen) == [2, 3]
    for epoch, found in seen.items():
        equal(found, expected[epoch])
    equal(weights(resumed), weights(whole))
    assert made["stopping"].wait == uninterrupted["stopping"].wait


@pytest.mark.parametrize("kind", ["loss scaling"])
@pytest.mark.parametrize("swap_on_epoch", [True, False])
def test_averages_of_other_optimizers_and_in_validations_only(kind, swap_on_epoch, tmp_path):
    options = {"kind": kind, "swap_on_epoch": swap_on_epoch}
    order = ["swap", "checkpoint", "backup"]
    whole, expected, _ = run(tmp_path / "whole", order, **options)
    run(tmp_path / "killed", order, crash=12, **options)
    resumed, seen, _ = run(tmp_path / "killed", order, **options)
    for epoch, found in seen.items():
        equal(found, expected[epoch])
    equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("order", ORDERS[:2], ids="-".join)
def test_a_run_of_more_epochs_goes_on_from_the_trained_weights(order, tmp_path):
    """Keras overwrites the weights with averages when a fit ends; the backup has the weights."""
    _, expected, _ = run(tmp_path / "whole", order, epochs=EPOCHS)
    run(tmp_path / "short", order, epochs=2, delete_checkpoint=False)
    _, seen, _ = run(tmp_path / "short", order, epochs=EPOCHS)
    assert sorted(seen) == [2, 3]
    for epoch, found in seen.items():
        equal(found, expected[epoch])


def test_a_backup_changes_nothing_in_the_run_itself(tmp_path):
    plain, expected, _ = run(tmp_path / "plain", ["swap", "stopping"])
    backed, seen, _ = run(tmp_path / "backed", ["swap", "backup", "stopping"])
    for epoch, found in seen.items():
        equal(found, expected[epoch])
    equal(weights(backed), weights(plain))


def test_the_middle_of_an_epoch(tmp_path):
    order, options = ["backup", "swap", "stopping"], {"exact": True, "save_freq": 2}
    whole, _, _ = run(tmp_path / "whole", order, **options)
    run(tmp_path / "killed", order, crash=12, **options)
    resumed, _, _ = run(tmp_path / "killed", order, **options)
    equal(weights(resumed), weights(whole))


def test_a_callback_that_was_swapped_in_a_fit_that_failed_is_as_new(tmp_path):
    """In the same process: it says that the averages are in the model, and they are not."""
    _, expected, _ = run(tmp_path / "whole", ["swap", "backup"])
    swap = keras.callbacks.SwapEMAWeights(True)

    class CrashesAtTheEnd(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError

    def fit(*more):
        model, begins = make_model(), Begins()
        backup = callbacks.BackupAndRestore(tmp_path / "backup")
        model.fit(
            X, Y, epochs=EPOCHS, batch_size=8, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=[swap, backup, begins, *more],
        )  # fmt: skip
        return begins.seen

    with pytest.raises(RuntimeError):
        fit(CrashesAtTheEnd())
    assert swap._ema_weights_in_model
    for epoch, found in fit().items():
        equal(found, expected[epoch])


class Counts(keras.callbacks.OrbaxCheckpoint if hasattr(callbacks, "OrbaxCheckpoint") else object):
    """Keras's, without its package: only what it counts."""

    def __init__(self):
        keras.callbacks.Callback.__init__(self)
        self.best = None
        self._batches_seen_since_last_saving = self._total_batches_seen = 0
        self._last_batch_seen = None
        self.save_freq = 7
        self.saved = []

    def set_model(self, model):
        keras.callbacks.Callback.set_model(self, model)

    def on_train_batch_end(self, batch, logs=None):
        if self._should_save_on_batch(batch):
            self.saved.append(self._total_batches_seen)

    def on_epoch_end(self, epoch, logs=None):
        self.best = logs["loss"]

    def on_train_end(self, logs=None):
        pass


@pytest.mark.skipif(not hasattr(callbacks, "OrbaxCheckpoint"), reason="new in Keras 3.14")
@pytest.mark.parametrize("first", [True, False])
def test_orbax_checkpoint_counts_on(first, tmp_path):
    def fit(crash):
        counts, backup = Counts(), callbacks.BackupAndRestore(tmp_path / "backup")
        listed = [counts, backup] if first else [backup, counts]
        more = [] if crash is None else [Crashes(crash)]
        try:
            make_model().fit(
                X, Y, epochs=EPOCHS, batch_size=8, shuffle=False, verbose=0,
                callbacks=[*listed, *more],
            )  # fmt: skip
        except InterruptedError:
            assert crash is not None
        return counts

    whole = fit(None)
    assert whole.saved == [7, 14]
    fit(12)
    resumed = fit(None)
    assert resumed.saved == [14]
    assert resumed._total_batches_seen == whole._total_batches_seen == EPOCHS * BATCHES
    assert resumed.best == whole.best
