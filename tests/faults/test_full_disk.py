"""A disk that is full when a model is saved: an error, the old file, and no other damage."""

import errno
import os
import random

import disks
import numbered
import pytest
from backups import Training, taken_up
from killed import KILLS, Child

import fitwatch
from fitwatch.callbacks import LambdaCallback, ModelCheckpoint

KINDS = {
    "keras": ("model.keras", {}),
    "weights": ("model.weights.h5", {"save_weights_only": True}),
    "legacy": ("model.h5", {}),
    "background": ("model.keras", {"save_on_background": True}),
    "kept": ("{epoch}.keras", {"max_to_keep": 2}),
    "kept in the background": ("{epoch}.keras", {"max_to_keep": 2, "save_on_background": True}),
}
# Less than any of these files needs, in bytes.
LITTLE = 60_000

# HDF5 swallows errors of its writes, and most often it ends the process when it closes the file.
LEGACY = pytest.param("legacy", marks=pytest.mark.xfail(reason="Keras has HDF5 write to the disk"))


@pytest.fixture
def disk(tmp_path):
    with disks.mounted(tmp_path / "disk") as folder:
        yield folder


def make_checkpoint(folder, kind):
    name, options = KINDS[kind]
    best_only = "max_to_keep" not in options
    path = os.path.join(folder, name)
    return ModelCheckpoint(path, "loss", mode="min", save_best_only=best_only, **options)


def numbers_in(folder):
    """What the models in a folder hold; and how many other files are there."""
    files = disks.files(folder)
    models = [name for name in files if os.sep not in name and name.endswith((".keras", ".h5"))]
    numbers = {numbered.number_in_file(os.path.join(folder, name)) for name in models}
    return numbers, len(files) - len(models)


def saves(say, folder, kind, rooms):
    """Trains an epoch with room for its model, and one with each of `rooms`; says what comes."""
    checkpoint = make_checkpoint(folder, kind)
    model = numbered.make_model()

    def ends(epoch, logs):
        numbered.fill(model, epoch + 1)
        logs["loss"] = float(-epoch - 1)

    def train(epoch):
        callbacks = [LambdaCallback(on_epoch_end=ends), checkpoint]
        with fitwatch.enabled():
            model.fit(**numbered.data(), initial_epoch=epoch, epochs=epoch + 1, callbacks=callbacks)

    for first in range(0, 2 * len(rooms), 2):
        train(first)
        disks.occupy(folder, rooms[first // 2])
        try:
            train(first + 1)
            error = None
        except Exception as raised:
            error = type(raised), getattr(raised, "errno", None)
        disks.release(folder)
        say((first, error, checkpoint.best, *numbers_in(folder)))


def check(kind, disk, rooms):
    with Child(saves, str(disk), kind, rooms) as child:
        for _ in rooms:
            first, error, *found = child.hear()
            assert error == (OSError, errno.ENOSPC)
            if kind.startswith("kept"):
                # The index is the one other file.
                assert found == [None, {first - 1, first + 1} - {-1}, 1]
            else:
                assert found == [-first - 1, {first + 1}, 0]


@pytest.mark.parametrize("kind", [*(kind for kind in KINDS if kind != "legacy"), LEGACY])
def test_there_is_no_room_or_too_little(disk, kind):
    check(kind, disk, little_rooms())


def little_rooms():
    random.seed(0)
    return [0, *(random.randrange(LITTLE) for _ in range(KILLS))]


def saves_once(say, folder, kind, room):
    """Saves with little room, and gets more of it before the file is closed."""
    import h5py

    model, checkpoint = numbered.make_model(), make_checkpoint(folder, kind)
    checkpoint.set_model(model)
    close = h5py.File.close

    def save(number):
        numbered.fill(model, number)
        checkpoint.on_train_begin()
        checkpoint.on_epoch_begin(number)
        checkpoint.on_epoch_end(number, {"loss": -number})
        checkpoint.on_train_end()

    def close_late(self):
        if disks.BALLAST in os.listdir(folder):
            disks.release(folder)
        close(self)

    save(1)
    disks.occupy(folder, room)
    h5py.File.close = close_late
    try:
        save(2)
        error = None
    except Exception as raised:
        error = type(raised)
    h5py.File.close = close
    say((error, checkpoint.best, *numbers_in(folder)))


@pytest.mark.parametrize("kind", ["weights", "background", LEGACY])
def test_room_that_comes_back_makes_no_half_file(disk, kind):
    with Child(saves_once, str(disk), kind, LITTLE) as child:
        found = child.hear()
    assert found in [(None, -2, {2}, 0), (OSError, -1, {1}, 0)]


def backs_up(say, folder, double, rooms):
    """Trains an epoch with room for its backup and one without, and again, and again."""
    model = numbered.make_model()
    training = Training(model, folder, double_checkpoint=double, delete_checkpoint=False)
    for room in rooms:
        begun = []

        def begins(epoch, begun=begun, room=room):
            begun.append(epoch)
            if len(begun) == 2:
                disks.occupy(os.path.dirname(folder), room)

        try:
            training.run(begins)
            error = None
        except Exception as raised:
            error = type(raised), getattr(raised, "errno", None)
        disks.release(os.path.dirname(folder))
        say((error, begun, len(disks.files(folder)), taken_up(model, folder)))


@pytest.mark.parametrize("double", [False, True])
def test_there_is_no_room_for_a_backup_or_too_little(disk, double):
    rooms = little_rooms()
    with Child(backs_up, str(disk / "backup"), double, rooms) as child:
        for number in range(len(rooms)):
            error, begun, files, kept = child.hear()
            assert error == (OSError, errno.ENOSPC)
            assert begun == [number, number + 1]
            assert kept == number + 1
            assert files == (4 if double and number else 2)
