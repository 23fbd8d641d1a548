"""Two processes on a small real data set: one decision, one writer."""

import keras
import numpy as np
import pytest
from ranks import BACKEND, errors_of, files_in, fit, together, weights_of

from fitwatch import callbacks, distributed

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


def everything(rank, folder, enabled, mode):
    stopping = callbacks.EarlyStopping(
        "val_loss", min_delta=0.3, patience=2, restore_best_weights=True, verbose=1, mode=mode
    )
    plateau = callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.3)
    own = [
        stopping,
        plateau,
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.99),
        callbacks.ModelCheckpoint(f"{folder}/best.keras", save_best_only=True, verbose=1),
        callbacks.ModelCheckpoint(
            f"{folder}/background-{{epoch}}.weights.h5",
            save_weights_only=True,
            save_on_background=True,
            max_to_keep=2,
        ),
        callbacks.CSVLogger(f"{folder}/log.csv", update_freq=4, loss="batch"),
        callbacks.TensorBoard(f"{folder}/board", update_freq=1, histogram_freq=1),
        callbacks.LossHistory(plot=f"{folder}/loss.png"),
        callbacks.TerminateOnNaN(),
        callbacks.BackupAndRestore(f"{folder}/backup", delete_checkpoint=False),
    ]
    result = fit(rank, own, enabled=enabled, epochs=8)
    state = {"best": stopping.best, "wait": stopping.wait, "best_epoch": stopping.best_epoch}
    state |= {"stopped": stopping.stopped_epoch, "plateau": plateau.best, "verbose": plateau.wait}
    return {**result, "state": state, "losses": len(own[7].losses)}


@pytest.mark.parametrize("enabled", [True, False], ids=["compiled", "stock list"])
def test_all_callbacks_decide_the_same_and_one_process_writes(tmp_path, enabled):
    first, second = together(everything, str(tmp_path), enabled, "min")
    for same in ("state", "epochs", "batches", "weights", "rate", "losses"):
        assert first[same] == second[same], same
    assert first["state"]["stopped"] > 0
    assert len(first["epochs"]) < 8
    rates = first["history"]["learning_rate"]
    assert rates == second["history"]["learning_rate"]
    assert min(rates) < 0.1 / 2
    # Decisions use the mean over the processes.
    values = np.mean([first["history"]["val_loss"], second["history"]["val_loss"]], axis=0)
    assert first["state"]["best"] == values[first["state"]["best_epoch"]]
    assert (first["history"]["val_loss"] == second["history"]["val_loss"]) == (BACKEND == "jax")
    # One set of files, each of which can be read.
    names = files_in(tmp_path)
    assert sum("tfevents" in name for name in names) == 2
    plain = [name for name in names if "tfevents" not in name]
    kept = [name for name in plain if name.startswith("background")]
    assert len(kept) == 3  # and their index
    assert sorted(set(plain) - set(kept)) == [
        "backup/latest.weights.h5",
        "backup/training_metadata.json",
        "best.keras",
        "log.csv",
        "loss.png",
    ]
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 1 + len(first["epochs"]) * (12 // 4 + 1)
    best = keras.models.load_model(tmp_path / "best.keras", compile=False)
    assert len(weights_of(best)) == len(first["weights"])
    for name in [name for name in kept if name.endswith(".h5")]:
        best.load_weights(tmp_path / name)


class Stops(keras.callbacks.Callback):
    """A user's callback that stops training in one process."""

    def __init__(self, rank, *, batch=None, at="on_epoch_end"):
        super().__init__()
        self.rank, self.batch, self.at = rank, batch, at
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.at == "on_epoch_begin":
            self.stop()

    def on_epoch_end(self, epoch, logs=None):
        if self.at == "on_epoch_end" and self.batch is None:
            self.stop()

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.stop()

    def stop(self):
        if self.epoch == 1 and distributed.rank() == self.rank:
            self.model.stop_training = True


def one_sided(rank, who, batch, at, enabled):
    only_there = [Stops(who, batch=batch, at=at)] if rank == who else []
    return fit(rank, [callbacks.TerminateOnNaN(), *only_there], enabled=enabled)


@pytest.mark.parametrize(("who", "enabled"), [(0, False), (1, True)])
def test_one_process_stops_at_the_end_of_an_epoch(who, enabled):
    first, second = together(one_sided, who, None, "on_epoch_end", enabled)
    assert first["epochs"] == second["epochs"] == [0, 1]
    assert first["weights"] == second["weights"]


@pytest.mark.parametrize(("who", "enabled"), [(0, True), (1, False)])
def test_one_process_stops_in_the_middle_of_an_epoch(who, enabled):
    first, second = together(one_sided, who, 6, "", enabled)
    # It stops after the batch at which they agree: the fifth, the tenth, and so on, of all.
    assert first["batches"] == second["batches"] == [*range(12), *range(8)]
    assert first["epochs"] == second["epochs"] == [0, 1]
    assert first["weights"] == second["weights"]


def test_one_process_stops_when_an_epoch_begins():
    first, second = together(one_sided, 1, None, "on_epoch_begin", True)
    assert first["batches"] == second["batches"] == [*range(12), *range(3)]


def by_batch(rank, every):
    stopping = callbacks.EarlyStopping(
        "loss", unit="batch", patience=10, min_delta=0.05, halflife=3, restore_best_weights=True
    )
    plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=6, min_delta=0.05)
    result = fit(rank, [stopping, plateau], every=every, epochs=20)
    result |= {"best": stopping.best, "best_batch": stopping.best_batch}
    return result | {"stopped": stopping.stopped_batch, "reductions": plateau.reductions}


@pytest.mark.parametrize("every", [1, 7])
def test_monitors_that_count_in_batches(every):
    first, second = together(by_batch, every)
    for same in ("batches", "weights", "rate", "best", "best_batch", "stopped", "reductions"):
        assert first[same] == second[same], same
    assert first["reductions"]
    trained = len(first["batches"])
    assert first["stopped"] < trained <= first["stopped"] + every
    assert trained % every == 0 or trained % 12 == 0


def timed(rank):
    """The time limit is reached in one process."""
    stopping = callbacks.EarlyStopping(
        "val_loss", max_time=1e9 if rank == 0 else 1e-3, restore_best_weights=True
    )
    return fit(rank, [stopping]) | {"reason": stopping.stop_reason, "best": stopping.best}


def test_the_time_of_one_process_is_over():
    first, second = together(timed)
    assert first["batches"] == second["batches"] == [*range(5)]
    assert first["weights"] == second["weights"]
    assert first["best"] == second["best"]
    assert "seconds have passed" in second["reason"]


def scheduled(rank):
    """A schedule that differs between processes, as a random one would."""
    schedule = callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1 + rank))
    return fit(rank, [schedule], epochs=3)


def test_the_learning_rate_is_that_of_the_first_process():
    first, second = together(scheduled)
    np.testing.assert_allclose(first["history"]["learning_rate"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    assert second["history"]["learning_rate"] == first["history"]["learning_rate"]
    assert first["weights"] == second["weights"]


def own_metric(rank):
    """A metric that a callback computes from the data of its process."""

    def add(epoch, logs):
        logs["score"] = float(epoch if rank else 10 - 3 * epoch)

    adds = keras.callbacks.LambdaCallback(on_epoch_end=add)
    stopping = callbacks.EarlyStopping("score", mode="max", patience=2, restore_best_weights=True)
    return fit(rank, [adds, stopping]) | {"best": stopping.best, "epoch": stopping.best_epoch}


def test_a_metric_of_each_process_is_averaged():
    first, second = together(own_metric)
    assert (first["best"], first["epoch"]) == (second["best"], second["epoch"]) == (5.0, 0)
    assert first["epochs"] == second["epochs"] == [0, 1, 2]
    assert first["weights"] == second["weights"]


def losses(rank, who):
    history = callbacks.LossHistory()
    fit(rank, [history] if who is None or rank == who else [], epochs=2)
    return [*map(float, history.losses)]


def test_the_losses_of_batches_are_right_if_one_process_alone_wants_them():
    # On JAX, train functions that differ would mix up the numbers of the processes.
    both = together(losses, None)
    assert together(losses, 0) == [both[0], []]
    assert together(losses, 1) == [[], both[1]]
    assert (both[0] == both[1]) == (BACKEND == "jax")


def needs(rank, name):
    own = {
        "plateau": callbacks.ReduceLROnPlateau(),
        "restore": callbacks.EarlyStopping(restore_best_weights=True),
        "schedule": callbacks.LearningRateScheduler(lambda epoch: 0.1),
    }
    return fit(rank, [own[name]] if rank == 1 else [])


@pytest.mark.parametrize("name", ["plateau", "restore", "schedule"])
def test_what_changes_the_model_has_to_be_in_every_process(name):
    first, second = errors_of(needs, name)
    assert first == second
    assert first.startswith("ValueError: ")
    assert "rank 1 has it, rank 0 does not" in first


def in_another_order(rank):
    both = [callbacks.ReduceLROnPlateau(), callbacks.EarlyStopping()]
    return fit(rank, both[:: 1 if rank else -1])


def test_the_order_has_to_be_the_same():
    first, second = errors_of(in_another_order)
    assert first == second
    assert "must be in the same order in every process: rank 1 has" in first


def only_loggers(rank, folder):
    """Stock lists without decisions may differ in length."""
    logger = callbacks.CSVLogger(f"{folder}/log.csv")
    return fit(rank, [logger] if rank == 0 else [], enabled=False, deadline=2)["epochs"]


def test_loggers_in_one_process_ask_the_others_for_nothing(tmp_path):
    assert together(only_loggers, str(tmp_path)) == [[*range(6)]] * 2
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 7


@pytest.mark.skipif(BACKEND != "jax", reason="Keras has it for JAX")
def test_weights_that_are_divided_are_refused(tmp_path):
    for found in together(divided, str(tmp_path)):
        for said in found:
            assert said.startswith("ValueError: ")
            assert "OrbaxCheckpoint" in said
    assert files_in(tmp_path) == []


def divided(rank, folder):
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel"] = (None, "model")
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
        )
    )
    said = []
    for own in (
        callbacks.ModelCheckpoint(f"{folder}/model.keras"),
        callbacks.BackupAndRestore(f"{folder}/backup"),
        callbacks.EarlyStopping(restore_best_weights=True),
        callbacks.TensorBoard(f"{folder}/board", histogram_freq=1, write_graph=False),
    ):
        try:
            fit(rank, [own])
        except ValueError as error:
            said.append(f"ValueError: {error}")
    return said
