"""Events and callbacks that only one of the processes has."""

import os
import time

import keras
import numpy as np
import pytest
from ranks import BACKEND, Failed, digits, files_in, fit, started, together

from fitwatch import callbacks, distributed

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


def rows(rank, folder):
    """In a stock list, none of whose callbacks decides."""
    own = callbacks.CSVLogger(f"{folder}/log.csv", update_freq="batch", loss="batch")
    return fit(rank, [own], enabled=False, epochs=2)["history"]


def test_rows_of_batches_in_a_stock_list(tmp_path):
    first, second = together(rows, str(tmp_path))
    for history in (first, second):
        assert max(history["accuracy"]) <= 1 < min(history["loss"])
    assert (first == second) == (BACKEND == "jax")
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + 2 * 13


def embeddings(rank, folder):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Embedding(5, 2), keras.layers.Flatten()]
    )
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    board = callbacks.TensorBoard(f"{folder}/board", embeddings_freq=1, histogram_freq=1)
    x = np.arange(48).reshape(16, 3) % 5
    model.fit(x, x[:, :1].astype("float32"), batch_size=8, verbose=0, callbacks=[board])
    return files_in(f"{folder}/board") if rank == 0 else None


@pytest.mark.skipif(BACKEND != "jax", reason="JAX puts what is saved on all devices")
def test_embeddings_are_written_by_one_process(tmp_path):
    names, _ = together(embeddings, str(tmp_path))
    assert "train/projector_config.pbtxt" in names


def stops_where_it_is_backed_up(rank, folder, enabled):
    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if rank == 1 and batch == 2:
                self.model.stop_training = True

    own = [Stops(), callbacks.BackupAndRestore(f"{folder}/backup", 3, delete_checkpoint=False)]
    result = fit(rank, own, enabled=enabled, every=100)
    return result["batches"], result["epochs"], result["weights"]


@pytest.mark.parametrize("enabled", [True, False], ids=["compiled", "stock list"])
def test_a_process_stops_where_a_backup_is_due(tmp_path, enabled):
    first, second = together(stops_where_it_is_backed_up, str(tmp_path), enabled)
    assert first == second
    assert first[:2] == ([0, 1, 2], [0])


def cannot_back_up(rank, folder):
    """Where the backup comes behind all callbacks, since one behind it has a state."""
    backup = callbacks.BackupAndRestore(f"{folder}/backup")
    if rank == 0:

        def fails(callback):
            raise OSError("the disk is full")

        backup._fitwatch.take = fails
    return fit(rank, [backup, callbacks.EarlyStopping()], enabled=False, deadline=60)


def test_a_backup_that_fails_leaves_nobody_waiting(tmp_path):
    with started(cannot_back_up, str(tmp_path)) as ranks:
        first = ranks[0].hear()
        assert first == "OSError: the disk is full"
        # The other process may be in a training step, which ends when this process ends.
        ranks[0].kill()
        if BACKEND == "torch":
            assert isinstance(ranks[1].hear(), Failed)
        else:
            ranks[1].hear_all()


def for_itself(rank, folder):
    """One process trains another model meanwhile, and then all train again."""

    class Probes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if rank == 0 and epoch == 0:
                with distributed.alone():
                    (x, y), _ = digits(rank)
                    probe = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
                    probe.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
                    saved = callbacks.ModelCheckpoint(f"{folder}/{rank}.keras")
                    probe.fit(x, y, verbose=0, callbacks=[saved, callbacks.EarlyStopping("loss")])

    return [fit(rank, [Probes(), callbacks.EarlyStopping()], epochs=2)["epochs"] for _ in "12"]


@pytest.mark.skipif(BACKEND != "torch", reason="on JAX a model is that of all processes")
def test_a_process_trains_for_itself(tmp_path):
    assert together(for_itself, str(tmp_path)) == [[[0, 1], [0, 1]]] * 2
    assert files_in(tmp_path) == ["0.keras"]


def fails_and_trains_again(rank):
    """A training that one process cannot begin, and the next one."""
    said = []
    for attempt in range(2):
        try:
            if rank == 1 and attempt == 0:
                time.sleep(9)  # the other one gives up meanwhile, and waits again
                raise ValueError("no data yet")
            said.append(fit(rank, [callbacks.EarlyStopping()], epochs=2, deadline=6)["epochs"])
        except (ValueError, distributed.ProcessError) as error:
            said.append(type(error).__name__)
    return said


@pytest.mark.skipif(BACKEND != "torch", reason="on JAX the processes have made a model together")
def test_a_training_after_one_that_could_not_begin():
    first, second = together(fails_and_trains_again)
    assert (first, second) == (["ProcessError", [0, 1]], ["ValueError", [0, 1]])


class Poison(keras.callbacks.Callback):
    """The validation loss of one process is NaN."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2 and distributed.rank() == 1:
            logs["val_loss"] = float("nan")


def poisoned(rank, folder):
    own = [
        Poison(),
        callbacks.ModelCheckpoint(f"{folder}/{{epoch}}.weights.h5", save_weights_only=True),
        callbacks.BackupAndRestore(f"{folder}/backup"),
        callbacks.TerminateOnNaN(monitor=["loss", "val_loss"]),
    ]
    return fit(rank, own)["epochs"]


@pytest.mark.skipif(BACKEND != "torch", reason="on JAX all have the same logs")
def test_a_nan_of_one_process_keeps_checkpoint_and_backup(tmp_path):
    assert together(poisoned, str(tmp_path)) == [[0, 1, 2]] * 2
    assert files_in(tmp_path) == [
        "1.weights.h5",
        "2.weights.h5",
        "backup/latest.weights.h5",
        "backup/training_metadata.json",
    ]


def seeds(rank, folder):
    keras.utils.set_random_seed(1)
    dropout = keras.layers.Dropout(0.5, seed=100 + rank)
    model = keras.Sequential([keras.Input((64,)), dropout, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    epochs = 1 if not os.path.exists(f"{folder}/backup") else 2
    backup = callbacks.BackupAndRestore(f"{folder}/backup", delete_checkpoint=False)
    fit(rank, [backup], model=model, epochs=epochs)
    return keras.ops.convert_to_numpy(dropout.seed_generator.state).tolist()


@pytest.mark.skipif(BACKEND != "torch", reason="on JAX a seed is that of all processes")
def test_each_process_has_its_own_seeds_again(tmp_path):
    together(seeds, str(tmp_path))
    first, second = together(seeds, str(tmp_path))
    assert [first[0], second[0]] == [100, 101]
    assert first[1] == second[1]


def exact_from_inexact(rank, folder):
    options = {"delete_checkpoint": False}
    fit(rank, [callbacks.BackupAndRestore(f"{folder}/backup", **options)], epochs=1)
    backup = callbacks.BackupAndRestore(f"{folder}/backup", exact=True, **options)
    return fit(rank, [backup], epochs=3)["batches"]


def test_exact_goes_on_from_a_backup_of_the_end_of_an_epoch(tmp_path):
    assert together(exact_from_inexact, str(tmp_path)) == [[*range(12)] * 2] * 2


def restores(rank, folder):
    """Many fits in a row, with the same callbacks, in three processes."""
    stopping = callbacks.EarlyStopping(restore_best_weights=True)
    logger = callbacks.CSVLogger(f"{folder}/log.csv", append=True)
    results = [fit(rank, [stopping, logger], epochs=2) for _ in range(3)]
    return [(one["epochs"], one["weights"]) for one in results]


def test_three_processes_and_three_trainings(tmp_path):
    first, second, third = together(restores, str(tmp_path), size=3)
    assert first == second == third
    assert [epochs for epochs, _ in first] == [[0, 1]] * 3
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 7


def interrupted(rank):
    class Interrupts(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if rank == 0 and epoch == 1:
                raise KeyboardInterrupt

    try:
        fit(rank, [callbacks.EarlyStopping(restore_best_weights=True), Interrupts()])
    except KeyboardInterrupt:
        return "interrupted"
    return "trained"


def test_ctrl_c_in_one_process_ends_it_and_tells_the_others():
    with started(interrupted) as ranks:
        assert ranks[0].hear() == "interrupted"
        assert "rank 0 has left the training: KeyboardInterrupt" in ranks[1].hear()
