"""A process that dies or leaves is named by the others in time; one that is slow is not."""

import os
import signal
import time

import keras
import pytest
from ranks import BACKEND, ROUNDS, Failed, digits, digits_model, files_in, started, weights_of

import fitwatch
from fitwatch import callbacks, distributed

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


class Hook(keras.callbacks.Callback):
    """Calls a function in one process at the end of an epoch."""

    def __init__(self, rank, action, epoch=1):
        super().__init__()
        self.rank, self.action, self.epoch = rank, action, epoch

    def on_epoch_end(self, epoch, logs=None):
        if distributed.rank() == self.rank and epoch == self.epoch:
            self.action()


def train(rank, deadline, *own, epochs=4, folder=None, exact=False, **options):
    distributed.configure(deadline=deadline, agree_every=4)
    (x, y), validation = digits(rank)
    model = digits_model()
    if folder is not None:
        every = 5 if exact else "epoch"
        own = (callbacks.BackupAndRestore(f"{folder}/backup", every, exact=exact), *own)
        saved = callbacks.ModelCheckpoint(f"{folder}/best.weights.h5", save_weights_only=True)
        logged = callbacks.CSVLogger(f"{folder}/log.csv")
        stopping = callbacks.EarlyStopping(restore_best_weights=True, patience=9)
        plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=4, min_delta=0.05)
        own = (*own, saved, logged, stopping, *([plateau] if exact else []))
    with fitwatch.enabled():
        history = model.fit(
            x,
            y,
            batch_size=32,
            validation_data=validation,
            epochs=epochs,
            verbose=0,
            callbacks=[callbacks.TerminateOnNaN(), *own],
            **options,
        )
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    result = {"epochs": history.epoch, "history": history.history, "weights": weights_of(model)}
    return result | {"rate": rate}


def dies(rank, who):
    return train(rank, 3.0, Hook(who, lambda: os.kill(os.getpid(), signal.SIGKILL)))


@pytest.mark.parametrize("who", [0, 1])
def test_a_process_that_dies_is_named_within_the_deadline(who):
    with started(dies, who) as ranks:
        began = time.monotonic()
        if who == 0 and BACKEND == "jax":
            # JAX ends the others by itself when the first one is gone.
            assert ranks[1].exit_code() != 0
        else:
            said = ranks[1 - who].hear()
            assert isinstance(said, Failed)
            assert said.startswith("ProcessError: ")
            assert f"rank {who}" in said
        assert time.monotonic() - began < 60


def leaves(rank, who):
    def fail():
        raise LookupError("no such thing")

    return train(rank, 60.0, Hook(who, fail))


@pytest.mark.parametrize("who", [0, 1])
def test_a_process_that_fails_tells_the_others_at_once(who):
    with started(leaves, who) as ranks:
        failed, other = ranks[who].hear(), ranks[1 - who].hear()
        assert failed == "LookupError: no such thing"
        assert other == f"ProcessError: rank {who} has left the training: {failed}"


def trains_less(rank):
    return train(rank, 60.0, epochs=3 if rank else 2)


def test_as_many_epochs_are_needed_everywhere():
    with started(trains_less) as ranks:
        for rank in ranks:
            said = rank.hear()
            assert said.startswith("ValueError: every process must train the same epochs")
            assert "rank 1 has epochs=3, rank 0 has epochs=2" in said


def has_no_callbacks(rank):
    if rank == 0:
        return train(rank, 2.0)
    (x, y), _ = digits(rank)
    return digits_model().fit(x, y, batch_size=32, verbose=0).epoch


def test_a_process_without_callbacks_is_named():
    with started(has_no_callbacks) as ranks:
        said = ranks[0].hear()
        assert said.startswith("ProcessError: rank 1 did not come to the beginning of the training")
        assert "Every process needs the same callbacks" in said


def is_slow(rank, who):
    return train(rank, 1.0, Hook(who, lambda: time.sleep(4)))["epochs"]


@pytest.mark.parametrize("who", [0, 1])
def test_a_process_that_is_busy_in_its_callbacks_is_waited_for(who):
    with started(is_slow, who) as ranks:
        assert [rank.hear() for rank in ranks] == [[0, 1, 2, 3]] * 2


class KilledAt(keras.callbacks.Callback):
    """Kills its process in the middle of an epoch."""

    def __init__(self, rank, epoch, batch):
        super().__init__()
        self.at = (rank, epoch, batch)
        self.current = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.current = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (distributed.rank(), self.current, batch) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def backed_up(rank, folder, exact, killed):
    at = KilledAt(*killed) if killed else None
    return train(rank, 10.0, *([at] if at else []), folder=folder, exact=exact)


@pytest.mark.parametrize("exact", [False, True], ids=["by epoch", "exact"])
@pytest.mark.parametrize("number", range(ROUNDS))
def test_one_process_is_killed_and_both_are_started_again(tmp_path, exact, number):
    who = number % 2
    with started(backed_up, str(tmp_path / "whole"), exact, None) as ranks:
        whole = [rank.hear() for rank in ranks]
    with started(backed_up, str(tmp_path / "cut"), exact, (who, 2, 3 + number % 8)) as ranks:
        assert ranks[who].exit_code() == -signal.SIGKILL
        # The remaining processes are ended by the code that starts them again.
    with started(backed_up, str(tmp_path / "cut"), exact, None) as ranks:
        again = [rank.hear() for rank in ranks]
    assert not any(isinstance(one, Failed) for one in (*whole, *again)), (whole, again)
    assert again[0]["weights"] == again[1]["weights"]
    assert again[0]["rate"] == again[1]["rate"]
    assert (again[0]["rate"] < 0.1) == exact
    assert again[0]["epochs"] == again[1]["epochs"] == ([0, 1, 2, 3] if exact else [2, 3])
    assert (
        files_in(tmp_path / "cut")
        == files_in(tmp_path / "whole")
        == [
            "best.weights.h5",
            "log.csv",
        ]
    )
    rows = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["epoch", "0", "1", "2", "3"]
    if exact:
        assert [one["weights"] for one in again] == [one["weights"] for one in whole]
        assert again[0]["history"] == whole[0]["history"]
        assert again[1]["history"].keys() == whole[1]["history"].keys()
        assert rows == (tmp_path / "whole" / "log.csv").read_text().splitlines()


def test_a_folder_that_is_not_shared_is_refused(tmp_path):
    # Rank 0 alone has written: the other one finds nothing in its own folder.
    with started(backed_up_for_rank, str(tmp_path), 1) as ranks:
        for rank in ranks:
            rank.hear()
    with started(backed_up_for_rank, str(tmp_path), 2) as ranks:
        for said in [rank.hear() for rank in ranks]:
            assert said.startswith("ValueError: backup_dir ")
            assert "rank 0 finds one of epoch 1 there, rank 1 none" in said


def backed_up_for_rank(rank, folder, epochs):
    keeps = callbacks.BackupAndRestore(f"{folder}/{rank}", delete_checkpoint=False)
    return train(rank, 10.0, keeps, epochs=epochs)


def test_one_sided_stops_never_hang():
    for number in range(ROUNDS):
        with started(stops_somewhere, number) as ranks:
            first, second = (rank.hear() for rank in ranks)
        assert not isinstance(first, Failed), first
        assert first == second


def stops_somewhere(rank, number):
    """One process stops at a batch that depends on `number`."""

    class Stops(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1
            if self.seen == 1 + 7 * number % 47:
                self.model.stop_training = True

    own = [Stops()] if rank == number % 2 else []
    result = train(rank, 20.0, *own)
    return result["epochs"], result["weights"]
