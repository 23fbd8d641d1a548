"""CSV files of processes that are killed while they write: only the last line may be partial."""

import csv
import itertools
import os
import random
import signal
import warnings

import numbered
import pytest
from killed import KILLS, Child, Doomed, killed

import fitwatch
from fitwatch import _core
from fitwatch.callbacks import CSVLogger, LambdaCallback

BATCHES = 8


def trains(say, path, first, inside):
    """Trains with a row for every batch until it is killed."""
    doomed = Doomed(say, inside)
    logger = CSVLogger(path, append=True, update_freq="batch")
    tells = LambdaCallback(
        on_train_begin=lambda logs: say(None),
        on_epoch_end=lambda epoch, logs: doomed.reached(epoch),
    )
    with fitwatch.enabled():
        numbered.make_model().fit(
            **numbered.data(BATCHES),
            batch_size=1,
            initial_epoch=first,
            epochs=10**6,
            callbacks=[logger, tells],
        )


def widens(say, path, first, inside):
    """Writes epochs by hand, with a column more in every one of them, until it is killed."""
    logger = CSVLogger(path, append=True)
    logger.on_train_begin()
    say(None)

    def write(epoch):
        logger.on_epoch_begin(epoch)
        logger.on_epoch_end(epoch, {str(number): epoch for number in range(epoch + 1)})

    Doomed(say, inside).repeat(write, first)


def cut(path):
    """Cuts the last line short, as a disk does it on which nothing was synced."""
    data = path.read_bytes()
    last = data[data.rindex(b"\r\n", 0, -2) + 2 :]
    path.write_bytes(data[: -random.randrange(2, len(last))])


def whole_rows(path):
    """The rows of a file; all of its lines are whole."""
    assert path.read_bytes().endswith(b"\r\n")
    with open(path, newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    assert all(len(line) == len(header) for line in lines)
    return [dict(zip(header, line, strict=True)) for line in lines]


def begin_again(path):
    """Appends to a file with a logger; returns the warnings."""
    logger = CSVLogger(path, append=True)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        logger.on_train_begin()
        logger.on_train_end()
    return [str(warning.message) for warning in warned]


@pytest.mark.parametrize("target", [trains, widens])
def test_a_killed_process_leaves_whole_lines(tmp_path, target):
    random.seed(0)
    path = tmp_path / "log.csv"
    first = 0
    for kill in range(KILLS):
        _, *ended = killed(target, str(path), first, kill=kill)
        rows = whole_rows(path)
        check = check_batches if target is trains else check_columns
        check(rows, first, ended[-1])
        if kill % 3 == 2:
            cut(path)
            rows.pop()
            (warning,) = begin_again(path)
            assert "was cut short, and was removed" in warning
        else:
            assert not begin_again(path)
        assert whole_rows(path) == rows
        first = int(rows[-1]["epoch"]) + 1
        if target is widens and first > 50:
            path.unlink()
            first = 0


def check_batches(rows, first, ended):
    """Epochs and their batches are in order; those of this process that have ended are whole."""
    whole = [*map(str, range(BATCHES)), "NA"]
    epochs = itertools.groupby(rows, lambda row: int(row["epoch"]))
    for number, (epoch, its_rows) in enumerate(epochs):
        batches = [row["batch"] for row in its_rows]
        assert epoch == number
        assert batches == whole[: len(batches)]
        assert batches == whole or not first <= epoch <= ended
    assert epoch >= ended


def check_columns(rows, first, ended):
    """Every epoch is there, and every column says what it was in it."""
    assert len(rows) > ended
    for epoch, row in enumerate(rows):
        known = {"epoch": str(epoch)} | {str(number): str(epoch) for number in range(epoch + 1)}
        assert row == dict.fromkeys(rows[0], "NA") | known


def dies(say, path):
    """Dies while it replaces a file, as CSVLogger does it for a column more."""
    new = _core.Replacement(path)
    new.path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_has_left_over_is_removed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n0,0.5\n")
    with Child(dies, str(path)) as child:
        assert child.exit_code() == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    begin_again(path)
    assert os.listdir(tmp_path) == ["log.csv"]
