"""Checkpoints of processes that are killed while they save: the file is always whole."""

import json
import os
import random

import numbered
import pytest
from killed import KILLS, Doomed, killed

from fitwatch import _core
from fitwatch.callbacks import ModelCheckpoint

KINDS = {
    "keras": ("model.keras", {}),
    "weights": ("model.weights.h5", {"save_weights_only": True}),
    "legacy": ("model.h5", {}),
    "background": ("model.keras", {"save_on_background": True}),
    "last": ("model.keras", {"save_last": True}),
}
KEPT = 3


def saves(say, folder, name, options, first, inside):
    """Saves until it is killed; no odd number is better than the one before."""
    model = numbered.make_model()
    checkpoint = ModelCheckpoint(
        os.path.join(folder, name),
        "loss",
        save_best_only=True,
        mode="min",
        initial_value_threshold=0.0,
        **options,
    )

    def save(number):
        numbered.fill(model, number)
        checkpoint.on_epoch_begin(number)
        checkpoint.on_epoch_end(number, {"loss": 1.0 if number % 2 else -number})

    # A background save is known to be on disk when the next save begins.
    late = 2 if checkpoint.save_on_background else 0
    run(say, folder, model, checkpoint, save, first, late, inside)


def keeps(say, folder, name, options, first, inside):
    """Saves into files of their own until it is killed, and keeps the best of them."""
    model = numbered.make_model()
    checkpoint = ModelCheckpoint(
        os.path.join(folder, name), "loss", mode="min", max_to_keep=KEPT, **options
    )

    def save(number):
        numbered.fill(model, number)
        checkpoint.on_epoch_begin(number)
        checkpoint.on_epoch_end(number, {"loss": loss(number)})

    run(
        say,
        folder,
        model,
        checkpoint,
        save,
        first,
        1 if checkpoint.save_on_background else 0,
        inside,
    )


def run(say, folder, model, checkpoint, save, first, late, inside):
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    found = os.listdir(folder)
    save(first)
    checkpoint.on_train_end()  # that one is safe
    checkpoint.on_train_begin()
    say((found, os.listdir(folder)))
    Doomed(say, inside).repeat(save, first + 1, late)


def loss(number):
    """Every file is among the best when it comes; the worst one is not always the oldest."""
    return -(number ^ 1)


@pytest.fixture
def folder(tmp_path):
    """A folder in which others have files too, and one of them is just being written."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".fitwatch-notes").mkdir()
    (tmp_path / ".fitwatch-notes" / "notes.txt").write_text("mine")
    living = _core.Replacement(tmp_path / "living.txt")
    living.path.write_text("whole")
    yield tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / ".fitwatch-notes" / "notes.txt").read_text() == "mine"
    living.commit()
    assert (tmp_path / "living.txt").read_text() == "whole"


def is_temporary(name):
    return name.startswith(".fitwatch-") and name != ".fitwatch-notes"


def checkpoints(names):
    """The numbers of files that are named so."""
    return {int(name.removesuffix(".keras")) - 1 for name in names if name.endswith(".keras")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_is_whole_and_never_lost(folder, kind):
    random.seed(0)
    name, options = KINDS[kind]
    number = 2
    for kill in range(KILLS):
        (found, _), *safe = killed(saves, str(folder), name, options, number, kill=kill)
        # The only temporary files are those of the running process.
        assert len([one for one in found if is_temporary(one)]) == 1
        last = max(safe)
        number = numbered.number_in_file(folder / name)
        assert number % 2 == 0
        assert last - last % 2 <= number <= last + (3 if kind == "background" else 1)
        if kind == "last":
            assert last <= numbered.number_in_file(folder / "last.keras") <= last + 1


@pytest.mark.parametrize("background", [False, True])
def test_the_best_few_are_whole_and_no_more_are_left(folder, background):
    random.seed(0)
    name, options = "{epoch}.keras", {"save_on_background": background}
    first = 0
    for kill in range(KILLS):
        (found, saved), *safe = killed(keeps, str(folder), name, options, first, kill=kill)
        assert len([one for one in found if is_temporary(one)]) == 1
        assert checkpoints(saved) == set(best_of(first))
        # The file that comes next may be there, or be on its way, and so may the one behind it.
        last = max(first, *safe)
        known = [set(best_of(last + more)) for more in range(3 if background else 2)]
        numbers = checkpoints(os.listdir(folder))
        assert set.intersection(*known) <= numbers <= set.union(*known)
        assert len(numbers) <= KEPT + 1
        for number in numbers:
            assert numbered.number_in_file(folder / f"{number + 1}.keras") == number
        index = json.loads((folder / f"{name}.index.json").read_text())
        assert numbers <= checkpoints(entry["name"] for entry in index["files"])
        first = last + 1


def best_of(last):
    """The numbers up to `last` that are kept."""
    return sorted(range(last + 1), key=loss)[:KEPT]
