"""Backups of processes that are killed while they train: each is complete and consistent."""

import json
import os
import random
import shutil

import numbered
import pytest
from backups import EnoughError, Training, taken_up
from killed import KILLS, Doomed, killed


def trains(say, folder, double, inside):
    """Trains until it is killed."""
    training = Training(numbered.make_model(), folder, double_checkpoint=double)
    doomed = Doomed(say, inside)
    found = []

    def begins(epoch):
        if found:
            doomed.reached(epoch)
        else:
            found.extend((epoch, os.listdir(folder)))
            say(found)

    training.run(begins)


@pytest.fixture(scope="module")
def model():
    return numbered.make_model()


@pytest.mark.parametrize("double", [False, True])
def test_a_backup_is_whole_and_of_one_moment(tmp_path, model, double):
    random.seed(0)
    folder = tmp_path / "backup"
    folder.mkdir()
    number = 0
    for kill in range(KILLS):
        (first, found), *safe = killed(trains, str(folder), double, kill=kill)
        assert first == number
        # Temporary files of the previous process are removed.
        assert not [name for name in found if name.startswith(".fitwatch-")]
        # Keras's notes are for Keras; they may be those of the backup before.
        notes = json.loads((folder / "training_metadata.json").read_text())
        if double and safe[-1] > 1:
            assert number_before(folder, tmp_path / "before", model) in (safe[-1] - 1, safe[-1])
        number = taken_up(model, folder)
        assert number in (safe[-1], safe[-1] + 1)
        assert notes["epoch"] in (number - 1, number)


def number_before(folder, copy, model):
    """That of the backup before the last one."""
    shutil.copytree(folder, copy)
    (copy / "latest.weights.h5").unlink()
    number = taken_up(model, copy)
    shutil.rmtree(copy)
    return number


@pytest.mark.parametrize("deleted", range(4))
def test_a_process_that_dies_while_it_deletes_its_backup(tmp_path, model, monkeypatch, deleted):
    """The backup that is left says that the training is complete."""
    folder = tmp_path / "backup"
    left = deleted

    def unlink(path, **_):
        nonlocal left
        if not left:
            raise EnoughError
        left -= 1
        os.remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        Training(model, folder, double_checkpoint=True).run(lambda epoch: None, epochs=3)
    assert len(os.listdir(folder)) == 4 - deleted
    begun = []
    numbered.fill(model, -1)
    again = Training(model, folder, double_checkpoint=True)
    again.run(begun.append, epochs=3)
    assert not begun
    assert numbered.number_in(model) == 3
    assert not folder.exists()
