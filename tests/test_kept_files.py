"""`max_to_keep`: only a few checkpoints are kept."""

import json
import os
from pathlib import Path

import pytest
from checkpoints import checkpoint, fails, files

from fitwatch.callbacks import ModelCheckpoint


def feed(saver, model, values, first=0):
    """Epochs with these values of `loss`."""
    saver.set_model(model)
    saver.on_train_begin()
    for epoch, value in enumerate(values, first):
        saver.on_epoch_begin(epoch)
        saver.on_epoch_end(epoch, {} if value is None else {"loss": value})
    saver.on_train_end()


def names(folder):
    return [name.removesuffix(".weights.h5") for name in files(folder) if name.endswith(".h5")]


def kept(folder, most, **options):
    return checkpoint(
        folder / "{epoch}.weights.h5", **{"monitor": "loss", **options}, max_to_keep=most
    )


@pytest.mark.parametrize(
    ("options", "values", "left"),
    [
        ({}, [5, 3, 4, 9, 1], "25"),
        ({"mode": "max"}, [5, 3, 4, 9, 1], "14"),
        ({}, [5, 5, 5], "12"),
        ({"monitor": None}, [5, 3, 4, 9, 1], "45"),
        ({"save_best_only": True}, [5, 3, 4, 9, 1], "25"),
        ({}, [5, float("nan"), 4, 9], "13"),
    ],
)
def test_the_best_files_are_kept(make_model, tmp_path, options, values, left):
    feed(kept(tmp_path, 2, **options), make_model(), values)
    assert names(tmp_path) == list(left)
    index = json.loads((tmp_path / "{epoch}.weights.h5.index.json").read_text())
    assert sorted(file["name"] for file in index["files"]) == [f"{n}.weights.h5" for n in left]


def test_without_the_metric_the_last_files_are_kept(make_model, tmp_path):
    with pytest.warns(UserWarning, match="'loss' is not available"):
        feed(kept(tmp_path, 2), make_model(), [None] * 4)
    assert names(tmp_path) == ["3", "4"]


def test_an_epoch_without_the_metric_takes_no_place_of_one_with_it(make_model, tmp_path):
    with pytest.warns(UserWarning, match="not available"):
        feed(kept(tmp_path, 2), make_model(), [None, 5, None, 4, 3, None])
    assert names(tmp_path) == ["4", "5"]


def test_a_run_that_goes_on_keeps_the_files_of_the_one_before(make_model, tmp_path):
    (tmp_path / "99.weights.h5").write_text("somebody else's")
    feed(kept(tmp_path, 2), make_model(), [5, 1, 3])
    feed(kept(tmp_path, 2), make_model(), [2, 4], first=3)
    assert names(tmp_path) == ["2", "4", "99"]


def test_a_new_run_deletes_nothing_of_the_one_before(make_model, tmp_path):
    feed(kept(tmp_path, 2), make_model(), [5, 1, 3], first=10)
    feed(kept(tmp_path, 2), make_model(), [9, 8, 7, 6])
    assert names(tmp_path) == ["12", "13", "3", "4"]


def test_an_index_that_is_damaged_is_told_of(make_model, tmp_path):
    feed(kept(tmp_path, 2), make_model(), [5])
    path = tmp_path / "{epoch}.weights.h5.index.json"
    for text in ("{", '{"version": 9, "files": []}', "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not an index of checkpoints"):
            feed(kept(tmp_path, 2), make_model(), [5], first=1)


def test_a_save_that_fails_takes_no_place(make_model, tmp_path):
    saver = ModelCheckpoint(tmp_path / "{epoch}.keras", "loss", max_to_keep=2)
    feed(saver, make_model(), [5, 4])
    with pytest.raises(OSError, match="No space"):
        feed(saver, fails(make_model), [3], first=2)
    feed(saver, make_model(), [4.5], first=3)
    assert [name for name in files(tmp_path) if name.endswith(".keras")] == ["2.keras", "4.keras"]


def test_the_same_name_twice_is_one_file(make_model, tmp_path):
    saver = checkpoint(tmp_path / "{loss:.0f}.weights.h5", monitor="loss", max_to_keep=2)
    feed(saver, make_model(), [5, 5, 4, 3])
    assert names(tmp_path) == ["3", "4"]


def test_a_file_that_is_not_among_the_best_is_told_of(make_model, tmp_path, capsys):
    feed(kept(tmp_path, 1, verbose=1), make_model(), [5, 6])
    assert "Epoch 2: loss is not among the best 1" in capsys.readouterr().out


def test_a_program_that_changes_its_folder_loses_none_of_its_own(make_model, tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "1.weights.h5").write_text("somebody else's")
    monkeypatch.chdir(tmp_path / "a")
    saver = kept(Path(), 1, monitor=None)
    feed(saver, make_model(), [1])
    monkeypatch.chdir(tmp_path / "b")
    feed(saver, make_model(), [1], first=1)
    assert names(tmp_path / "a") == []
    assert names(tmp_path / "b") == ["1", "2"]


def test_each_path_has_an_index_of_its_own(make_model, tmp_path):
    for name in ("{epoch:02d}", "{epoch:03d}", "{epoch}/m", "{epoch}-m", "{epoch}" + "x" * 220):
        saver = checkpoint(tmp_path / f"{name}.weights.h5", monitor="loss", max_to_keep=1)
        feed(saver, make_model(), [2, 1])
    assert len([name for name in files(tmp_path) if name.endswith(".index.json")]) == 5


def test_an_index_with_values_without_a_metric(make_model, tmp_path):
    feed(kept(tmp_path, 2), make_model(), [5, 1, 3])
    feed(kept(tmp_path, 2, monitor=None), make_model(), [9], first=3)
    assert names(tmp_path) == ["3", "4"]


def test_a_folder_that_is_in_the_way_takes_no_place(make_model, tmp_path):
    (tmp_path / "3").write_text("in the way")
    saver = checkpoint(tmp_path / "{epoch}" / "m.weights.h5", monitor=None, max_to_keep=2)
    with pytest.raises(OSError, match="3"):
        feed(saver, make_model(), [1, 1, 1])
    (index,) = tmp_path.glob("*.index.json")
    names = [file["name"] for file in json.loads(index.read_text())["files"]]
    assert names == [os.path.join(n, "m.weights.h5") for n in "12"]


def test_files_that_are_gone_take_no_place(make_model, tmp_path):
    saver = kept(tmp_path, 1)
    feed(saver, make_model(), [1])
    (tmp_path / "1.weights.h5").unlink()
    feed(saver, make_model(), [5])
    assert names(tmp_path) == ["1"]
