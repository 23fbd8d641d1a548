"""Damaged backups: the previous one is used, or training does not begin."""

import random

import numbered
import pytest
from backups import EnoughError, Training, taken_up
from killed import KILLS

LATEST = "latest.weights.h5"


def flip(data):
    """One bit is flipped."""
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def cut(data):
    return data[: random.randrange(len(data))]


def blank(data):
    """A block of it is all zeros."""
    start, stop = sorted(random.sample(range(len(data) + 1), 2))
    return data[:start] + bytes(stop - start) + data[stop:]


def empty(data):
    return b""


def replaced(data):
    """It has other content."""
    return random.randbytes(len(data))


DAMAGES = [empty, replaced, *KILLS * [flip, cut, blank]]


@pytest.fixture(scope="module")
def model():
    return numbered.make_model()


@pytest.fixture
def folder(tmp_path, model, request):
    """A folder with backups of two epochs, or, without `double`, of the last one of them."""

    def stop(epoch):
        if epoch == 2:
            raise EnoughError

    Training(model, tmp_path, double_checkpoint=request.param).run(stop)
    return tmp_path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damaged_in_turn(folder):
    """Damages the last backup in each way there is; what is in the folder then."""
    random.seed(0)
    whole = (folder / LATEST).read_bytes()
    for damage in DAMAGES:
        damaged = damage(whole)
        if damaged == whole:
            continue
        (folder / LATEST).write_bytes(damaged)
        yield content(folder)


@pytest.mark.parametrize("folder", [True], indirect=True)
def test_the_one_before_is_taken_with_a_warning(folder, model):
    for before in damaged_in_turn(folder):
        with pytest.warns(UserWarning, match=r"last backup is damaged.*the one before it is used"):
            assert taken_up(model, folder) == 1
        assert content(folder) == before


@pytest.mark.parametrize("folder", [False], indirect=True)
def test_without_one_the_training_does_not_begin(folder, model):
    assert set(content(folder)) == {LATEST, "training_metadata.json"}
    for before in damaged_in_turn(folder):
        with pytest.raises(OSError, match=r"the backup is damaged: .*latest\.weights\.h5"):
            taken_up(model, folder)
        assert content(folder) == before
        assert numbered.number_in(model) == -1


@pytest.mark.parametrize("folder", [True], indirect=True)
def test_a_damaged_backup_does_not_become_the_one_before(folder, model):
    """The good one stays until there are two good ones again."""
    (folder / LATEST).write_bytes(b"")
    good = (folder / f"{LATEST}.bkp").read_bytes()
    seen = []

    def look(epoch):
        seen.append((folder / f"{LATEST}.bkp").read_bytes() == good)

    with pytest.warns(UserWarning, match="the one before it is used"):
        Training(model, folder, double_checkpoint=True, delete_checkpoint=False).run(look, epochs=4)
    assert seen == [True, True, False]
    (folder / LATEST).write_bytes(b"")
    with pytest.warns(UserWarning, match="the one before it is used"):
        assert taken_up(model, folder) == 3


@pytest.mark.parametrize("folder", [True], indirect=True)
def test_two_damaged_backups_are_both_named(folder, model):
    for name in (LATEST, f"{LATEST}.bkp"):
        (folder / name).write_bytes(b"")
    with pytest.raises(OSError, match=r"latest\.weights\.h5: .*latest\.weights\.h5\.bkp: "):
        taken_up(model, folder)


@pytest.mark.parametrize("folder", [False], indirect=True)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"epoch": 7}'])
def test_the_notes_for_keras_may_be_damaged(folder, model, text):
    (folder / "training_metadata.json").write_text(text)
    assert taken_up(model, folder) == 2
