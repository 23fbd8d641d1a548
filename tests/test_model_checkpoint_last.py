"""ModelCheckpoint: every N epochs, and the last model beside the best."""

import os

import h5py
import keras
import numpy as np
import pytest
from checkpoints import checkpoint, fails, files, number_in

import fitwatch
from fitwatch import _files, callbacks
from fitwatch.callbacks import ModelCheckpoint


def feed(saver, model, values, first=0):
    """Epochs with these values of `loss`; the model's first weight is the number of the epoch."""
    saver.set_model(model)
    saver.on_train_begin()
    for epoch, value in enumerate(values, first):
        saver.on_epoch_begin(epoch)
        fill(model, epoch + 1)
        saver.on_epoch_end(epoch, {} if value is None else {"loss": value})
    saver.on_train_end()


def fill(model, number):
    model.set_weights([np.full_like(weight, number) for weight in model.get_weights()])


def names(folder):
    return [name for name in files(folder) if not name.endswith(".json")]


@pytest.mark.parametrize(
    ("every", "first", "options", "expected"),
    [
        (None, 0, {}, "123456"),
        (1, 0, {}, "123456"),
        (2, 0, {}, "246"),
        (3, 0, {}, "36"),
        (7, 0, {}, ""),
        # Counted from the very first epoch, not from this run's first.
        (3, 4, {}, "69"),
        # The best of the candidates: what comes in between does not count.
        (2, 0, {"save_best_only": True}, "24"),
        (2, 0, {"max_to_keep": 2}, "46"),
    ],
)
def test_every_so_many_epochs(make_model, tmp_path, every, first, options, expected):
    saver = checkpoint(
        tmp_path / "{epoch}.weights.h5", monitor="loss", save_interval_epochs=every, **options
    )
    feed(saver, make_model(), [1, 5, 0, 3, 2, 4], first)
    assert names(tmp_path) == [f"{number}.weights.h5" for number in expected]


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("seconds", [1e-9, 3600])
def test_seconds_and_epochs(make_model, data, tmp_path, seconds, on):
    saver = checkpoint(
        tmp_path / "{epoch}-{batch}.weights.h5",
        save_interval_seconds=seconds,
        save_interval_epochs=2,
    )
    model = make_model()
    with fitwatch.enabled() if on else keras.name_scope("stock"):
        model.fit(*data, batch_size=10, epochs=4, verbose=0, callbacks=[saver])
    ends = {"2-6.weights.h5", "4-6.weights.h5"}
    found = set(files(tmp_path))
    assert found >= ends
    assert (found == ends) is (seconds == 3600)


def test_a_save_at_the_end_of_an_epoch_begins_the_time_anew(make_model, tmp_path):
    saver = checkpoint(
        tmp_path / "{epoch}-{batch}.weights.h5",
        save_interval_seconds=3600,
        save_interval_epochs=2,
    )
    saver.set_model(make_model())
    saver.on_train_begin()
    begun = []
    for epoch in range(4):
        saver.on_epoch_begin(epoch)
        begun.append(saver._fitwatch.decisions.interval)
        saver.on_train_batch_end(0, {"loss": 1.0})
        saver.on_epoch_end(epoch, {"loss": 1.0})
    assert [one is begun[0] for one in begun] == [True, True, False, False]
    assert begun[2] is begun[3]
    assert names(tmp_path) == ["2-1.weights.h5", "4-1.weights.h5"]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_the_last_model_is_beside_the_best(make_model, tmp_path, ending, background):
    if ending == ".h5" and background:
        pytest.skip("Keras writes those, in the foreground")
    saver = checkpoint(
        tmp_path / f"best{ending}",
        monitor="loss",
        save_best_only=True,
        save_last=True,
        save_on_background=background,
    )
    model = make_model()
    best, last = tmp_path / f"best{ending}", tmp_path / f"last{ending}"
    for epoch, (value, best_epoch) in enumerate([(5, 1), (3, 2), (4, 2), (2, 4)]):
        feed(saver, model, [value], epoch)
        assert [number_in(path, make_model()) for path in (best, last)] == [best_epoch, epoch + 1]
        # The model is saved once and copied: writing to one file does not change the other.
        assert not os.path.samefile(best, last)
        same = best.read_bytes() == last.read_bytes()
        assert same or best_epoch != epoch + 1
    assert names(tmp_path) == [f"best{ending}", f"last{ending}"]


def test_who_writes_to_the_last_one_leaves_the_best_alone(make_model, tmp_path):
    """Like a script that resumes from the file and saves to it."""
    saver = ModelCheckpoint(tmp_path / "m.keras", "loss", save_best_only=True, save_last=True)
    feed(saver, make_model(), [5])
    before = (tmp_path / "m.keras").read_bytes()
    model = keras.models.load_model(tmp_path / "last.keras")
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.save(tmp_path / "last.keras")
    assert (tmp_path / "m.keras").read_bytes() == before


def test_the_file_is_meant_and_not_the_link_to_it(make_model, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "m.keras").symlink_to("real/model.keras")
    saver = ModelCheckpoint(tmp_path / "m.keras", "loss", save_last=True)
    feed(saver, make_model(), [5, 6])
    assert not (tmp_path / "last.keras").is_symlink()
    real = (tmp_path / "real" / "model.keras").read_bytes()
    assert (tmp_path / "last.keras").read_bytes() == real


def test_it_is_not_one_of_those_that_are_kept(make_model, tmp_path):
    saver = checkpoint(
        tmp_path / "new" / "{epoch}.weights.h5", monitor="loss", max_to_keep=2, save_last=True
    )
    model = make_model()
    feed(saver, model, [5, 3, 4, 9, 1])
    folder = tmp_path / "new"
    assert names(folder) == ["2.weights.h5", "5.weights.h5", "last.weights.h5"]
    feed(saver, model, [8], 5)
    assert names(folder) == ["2.weights.h5", "5.weights.h5", "last.weights.h5"]
    assert number_in(folder / "last.weights.h5", model) == 6


def test_it_is_in_the_folder_above_that_of_an_epoch(make_model, tmp_path):
    saver = ModelCheckpoint(tmp_path / "e{epoch}" / "m.keras", save_last=True)
    feed(saver, make_model(), [5, 3])
    assert files(tmp_path) == ["e1", "e2", "last.keras"]


@pytest.mark.filterwarnings("ignore:.*not available")
def test_it_is_saved_where_nothing_can_be_judged(make_model, data, tmp_path):
    """And after the batch at once, where the decision about the best is put off."""
    saver = checkpoint(
        tmp_path / "best.weights.h5", save_best_only=True, save_last=True, save_freq=4
    )
    seen = []

    class Looks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(names(tmp_path))

        def on_epoch_end(self, epoch, logs=None):
            with h5py.File(tmp_path / "last.weights.h5") as file:
                seen.append(int(file["optimizer/vars/0"][()]))

    make_model().fit(
        *data,
        batch_size=10,
        epochs=3,
        verbose=0,
        validation_data=data,
        validation_freq=[2],
        callbacks=[saver, Looks()],
    )
    last, both = ["last.weights.h5"], ["best.weights.h5", "last.weights.h5"]
    # Due after batches 4, 8, 12 and 16; judged at the end of the second epoch alone.
    assert seen == [*[[]] * 3, *[last] * 3, 6, *[both] * 6, 12, *[both] * 6, 18]


def test_terminate_on_nan_guards_it(make_model, tmp_path):
    saver = checkpoint(
        tmp_path / "best.weights.h5", monitor="loss", save_best_only=True, save_last=True
    )
    model = make_model()
    made = callbacks.CallbackList([callbacks.TerminateOnNaN(), saver], model=model)
    made.on_train_begin()
    with pytest.warns(UserWarning, match="the model is not saved"):
        for epoch, (number, loss) in enumerate([(1, 3.0), (2, 4.0), (np.nan, 5.0), (4, np.nan)]):
            made.on_epoch_begin(epoch)
            fill(model, number)
            made.on_epoch_end(epoch, {"loss": loss})
    assert number_in(tmp_path / "best.weights.h5", make_model()) == 1
    assert number_in(tmp_path / "last.weights.h5", make_model()) == 2


def test_a_save_of_it_that_fails_is_told_of(make_model, tmp_path):
    saver = ModelCheckpoint(tmp_path / "m.keras", "loss", save_best_only=True, save_last=True)
    feed(saver, make_model(), [3])
    with pytest.raises(OSError, match="No space") as failed:
        feed(saver, fails(make_model), [4], 1)
    assert "last.keras' was not saved" in failed.value.__notes__[0]
    assert number_in(tmp_path / "last.keras", make_model()) == 1
    assert saver.best == 3


def test_a_second_name_that_cannot_be_given_leaves_the_best(make_model, tmp_path, monkeypatch):
    """In the background too: the file itself is safe."""

    def fails(path, name):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.shutil, "copyfile", fails)
    for background in (False, True):
        path = tmp_path / f"{background}" / "m.keras"
        saver = ModelCheckpoint(
            path, "loss", save_best_only=True, save_last=True, save_on_background=background
        )
        with pytest.raises(OSError, match="No space"):
            feed(saver, make_model(), [3])
        assert saver.best == 3
        assert files(path.parent) == ["m.keras"]


def test_a_folder_in_its_place_is_known_before_training(make_model, tmp_path):
    (tmp_path / "last.keras").mkdir()
    saver = ModelCheckpoint(tmp_path / "m.keras", save_last=True)
    with pytest.raises(IsADirectoryError, match=r"save_last must be a file.*last\.keras"):
        feed(saver, make_model(), [3])


@pytest.mark.parametrize(
    ("filepath", "options", "message"),
    [
        ("m.keras", {"save_interval_epochs": 0}, "save_interval_epochs must be a whole number"),
        ("m.keras", {"save_interval_epochs": 1.5}, "save_interval_epochs must be"),
        ("m.keras", {"save_interval_epochs": 2, "save_freq": 5}, "needs save_freq='epoch'"),
        ("m.keras", {"save_last": 2}, "save_last must be"),
        ("last.keras", {"save_last": True}, "save_last needs a filepath other than that"),
        ("./x/../last.keras", {"save_last": True}, "save_last needs a filepath"),
        ("gs://b/m.keras", {"save_last": True}, "need a filepath on this machine"),
    ],
)
def test_arguments_are_checked(filepath, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ModelCheckpoint(filepath, **options)
