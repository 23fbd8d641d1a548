"""CSVLogger: full disks, lost folders, exceptions, files that are elsewhere."""

import os
import pickle
import signal
import sys
import warnings
from pathlib import Path

import keras
import pytest
from csv_files import read, write
from killed import Child

import fitwatch
from fitwatch import callbacks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.csv"


def test_a_missing_folder_is_made(tmp_path):
    write(tmp_path / "a" / "b" / "log.csv", {"loss": 1.0})
    assert len(read(tmp_path / "a" / "b" / "log.csv")) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_folder_that_is_lost_is_reported_once_and_training_goes_on(make_model, data, tmp_path):
    import shutil

    class Deletes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                shutil.rmtree(tmp_path / "logs")

    logger = callbacks.CSVLogger(tmp_path / "logs" / "log.csv")
    with pytest.warns(UserWarning, match="cannot be written, and training goes on") as warned:
        history = make_model().fit(*data, epochs=5, verbose=0, callbacks=[Deletes(), logger])
    assert len([w for w in warned if "CSVLogger" in str(w.message)]) == 1
    assert len(history.epoch) == 5


def in_own_process(target, path, *arguments):
    """What `target(say, path, ...)` says in a process whose files can be limited in size."""
    with Child(target, str(path), *arguments) as child:
        said = child.hear_all()
        assert child.exit_code() == 0
    return said


def limit_files(size=None):
    """A limit on the size of files stands for a full disk; None for no limit."""
    import resource  # not on Windows

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.RLIM_INFINITY if size is None else size
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def fill_the_disk(say, path, update_freq):
    logger = callbacks.CSVLogger(path, update_freq=update_freq)
    logger.on_train_begin()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        limit_files(100)
        for epoch in range(20):
            logger.on_epoch_begin(epoch)
            logger.on_train_batch_end(0, {"loss": 0.5})
            logger.on_epoch_end(epoch, {"loss": 0.25})
            if epoch == 15:
                say(Path(path).read_bytes())
                limit_files(10_000)
        logger.on_train_end()
    say([str(w.message) for w in warned if "CSVLogger" in str(w.message)])


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
def test_a_full_disk_is_reported_once_leaves_no_torn_row_and_loses_nothing(path, update_freq):
    """The last row fits in half."""
    while_full, warned = in_own_process(fill_the_disk, path, update_freq)
    assert while_full.endswith(b"\r\n")
    assert 60 < len(while_full) <= 100
    assert len(warned) == 1
    assert "log.csv' cannot be written, and training goes on" in warned[0]
    epochs = [row[0] for row in read(path)[1:] if update_freq == "epoch" or row[1] == "NA"]
    assert epochs == [str(epoch) for epoch in range(20)]


def widen_without_space(say, path):
    warnings.simplefilter("ignore")
    logger = callbacks.CSVLogger(path)
    logger.on_train_begin()
    for epoch in range(100):
        logger.on_epoch_end(epoch, {"loss": 0.5})
    limit_files(os.path.getsize(path) + 60)
    for epoch in range(100, 103):
        logger.on_epoch_end(epoch, {"loss": 0.5, "late": 1.0})
    limit_files(10_000)
    logger.on_epoch_end(103, {"loss": 0.5, "late": 1.0})
    logger.on_train_end()


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_where_there_is_no_space_for_another_column_rows_go_on(path):
    in_own_process(widen_without_space, path)
    rows = read(path)
    assert rows[0] == ["epoch", "loss", "val_loss", "late"]
    assert [row[0] for row in rows[1:]] == [str(epoch) for epoch in range(104)]
    assert rows[-1][3] == "1.0"
    assert list(path.parent.iterdir()) == [path]


def give_up_the_first_rows(say, path):
    warnings.simplefilter("ignore")
    logger = callbacks.CSVLogger(path)
    logger.on_train_begin()
    limit_files(0)
    for epoch in range(3):
        logger.on_epoch_end(epoch, {"text": "x" * 700_000})
    limit_files()
    logger.on_epoch_end(3, {"text": "y"})
    logger.on_train_end()


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_header_is_there_even_if_what_came_first_was_given_up(path):
    in_own_process(give_up_the_first_rows, path)
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,text,val_text"
    assert lines[-1] == "3,y,NA"


def append_in_turn(say, path):
    warnings.simplefilter("ignore")
    one, two = (callbacks.CSVLogger(path, append=True) for _ in range(2))
    one.on_train_begin()
    one.on_epoch_end(0, {"loss": 0.5})
    two.on_train_begin()
    for epoch in range(1, 6):
        two.on_epoch_end(epoch, {"loss": 0.25})
    limit_files(os.path.getsize(path) + 3)
    one.on_epoch_end(6, {"loss": 0.5})


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_what_somebody_else_has_appended_is_never_cut_off(path):
    in_own_process(append_in_turn, path)
    assert path.read_bytes().endswith(b"\r\n")
    assert [row[0] for row in read(path)[1:]] == [str(epoch) for epoch in range(6)]


def test_rows_of_batches_reach_the_file_when_training_ends_in_an_exception(make_model, data, path):
    class Raises(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise ZeroDivisionError

    logger = callbacks.CSVLogger(path, update_freq="batch")
    with fitwatch.enabled(), pytest.raises(ZeroDivisionError):
        make_model().fit(*data, batch_size=5, verbose=0, callbacks=[logger, Raises()])
    assert [row[1] for row in read(path)[1:]] == [str(batch) for batch in range(6)]


def test_rows_of_batches_are_there_after_an_exception_in_a_stock_list(make_model, data, path):
    class Raises(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise ZeroDivisionError

    logger = callbacks.CSVLogger(path, update_freq="batch")
    with pytest.raises(ZeroDivisionError) as kept:
        make_model().fit(*data, batch_size=5, verbose=0, callbacks=[logger, Raises()])
    assert [row[1] for row in read(path)[1:]] == [str(batch) for batch in range(6)]
    assert kept.traceback


def test_a_program_that_changes_its_folder(tmp_path, monkeypatch):
    """Widening goes to the file that was opened."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "log.csv").write_text("epoch,other\n7,77\n")
    monkeypatch.chdir(tmp_path / "here")
    logger = callbacks.CSVLogger("log.csv")
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1.0})
    monkeypatch.chdir(tmp_path / "there")
    logger.on_epoch_end(1, {"loss": 0.5, "late": 2.0})
    logger.on_train_end()
    assert (tmp_path / "there" / "log.csv").read_text() == "epoch,other\n7,77\n"
    assert read(tmp_path / "here" / "log.csv")[2] == ["1", "0.5", "NA", "2.0"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such file")
def test_a_device(make_model, data):
    """A device's folder may not be writable; and a device is never replaced by a file."""
    logger = write("/dev/null", {"loss": 1.0})
    with pytest.warns(UserWarning, match="cannot be written"):
        write("/dev/null", {"loss": 1.0}, {"loss": 1.0, "late": 2.0})
    assert not os.path.isfile("/dev/null")
    assert logger.keys == ["loss", "val_loss"]


def test_a_remote_file(make_model, data, tmp_path):
    pytest.importorskip("tensorflow")
    path = f"file://{tmp_path}/log.csv"  # TensorFlow opens that too
    logger = callbacks.CSVLogger(path, append=True)
    make_model(metrics=[]).fit(*data, epochs=2, verbose=0, callbacks=[logger])
    write(path, {"late": 1.0}, first=2, append=True)
    header, *rows = read(tmp_path / "log.csv")
    assert header == ["epoch", "loss", "val_loss", "late"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert pickle.loads(pickle.dumps(logger)).filename == path


def test_a_remote_file_that_cannot_be_written_does_not_end_the_training(make_model, data):
    pytest.importorskip("tensorflow")
    logger = callbacks.CSVLogger("nosuchscheme://bucket/log.csv")
    with pytest.warns(UserWarning, match="nosuchscheme.*cannot be written, and training goes on"):
        make_model().fit(*data, epochs=2, verbose=0, callbacks=[logger])


def test_a_remote_file_needs_tensorflow(monkeypatch):
    from keras.src.utils.module_utils import gfile

    monkeypatch.setattr(gfile, "_available", False)
    with pytest.raises(ValueError, match=r"'gs://bucket/log\.csv' needs TensorFlow"):
        callbacks.CSVLogger("gs://bucket/log.csv")
