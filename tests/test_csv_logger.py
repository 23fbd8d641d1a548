"""CSVLogger: what it does better than Keras's, and rows of batches."""

import contextlib
import copy
import csv
import os
import pickle
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from scalars import LateScalar, late_reader, use

import fitwatch
from fitwatch import callbacks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.csv"


def read(path, **options):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


def write(path, *epochs, first=0, **options):
    """One run that is driven by hand."""
    logger = callbacks.CSVLogger(path, **options)
    logger.on_train_begin()
    for epoch, logs in enumerate(epochs, first):
        logger.on_epoch_begin(epoch)
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()
    return logger


def test_a_metric_that_turns_up_late_is_kept(path):
    write(path, {"loss": 1.0}, {"loss": 0.5, "rate": 0.1}, {"rate": 0.2})
    assert read(path) == [
        ["epoch", "loss", "val_loss", "rate"],
        ["0", "1.0", "NA", "NA"],
        ["1", "0.5", "NA", "0.1"],
        ["2", "NA", "NA", "0.2"],
    ]


def test_validation_columns_are_there_from_the_first_row_on(path):
    write(path, {"loss": 1.0}, {"loss": 0.5, "val_loss": 0.75})
    assert read(path) == [
        ["epoch", "loss", "val_loss"],
        ["0", "1.0", "NA"],
        ["1", "0.5", "0.75"],
    ]


def test_a_torn_last_line_is_taken_out_and_shown(path):
    write(path, {"a": 1.0, "val_a": 2.0})
    with open(path, "ab") as file:
        file.write(b"1,0.12")
    with pytest.warns(UserWarning, match=r"log\.csv' was cut short.*taken out: '1,0\.12'"):
        write(path, {"a": 0.5, "val_a": 1.0}, first=1, append=True)
    assert read(path) == [["epoch", "a", "val_a"], ["0", "1.0", "2.0"], ["1", "0.5", "1.0"]]


def test_half_a_number_is_not_taken_for_one(path):
    """What was 9.9999e-05."""
    path.write_text("epoch,a\n0,9.9999")
    with pytest.warns(UserWarning, match=r"taken out: '0,9\.9999'"):
        write(path, {"a": 0.5}, first=1, append=True)
    assert read(path) == [["epoch", "a"], ["1", "0.5"]]


def test_half_a_line_end_is_completed(path):
    path.write_bytes(b"epoch,a\r\n0,1.0\r")
    with pytest.warns(UserWarning, match="has its end again"):
        write(path, {"a": 0.5}, first=1, append=True)
    assert path.read_bytes() == b"epoch,a\r\n0,1.0\r\n1,0.5\r\n"


def test_a_quote_in_the_middle_of_a_field_is_no_damage(path):
    rows = "".join(f'{epoch},5" disk\n' for epoch in range(501))
    path.write_text(f"epoch,a\n{rows}")
    write(path, {"a": 0.5, "late": 1}, first=501, append=True)
    assert len(path.read_text().splitlines()) == 503
    assert path.read_text().splitlines()[501] == '500,5" disk,NA'


def test_appending_with_other_columns_widens_the_header(path):
    write(path, {"b": 1.0, "val_b": 2.0})
    write(path, {"a": 3.0, "b": 4.0}, first=1, append=True)
    assert read(path) == [
        ["epoch", "b", "val_b", "a"],
        ["0", "1.0", "2.0", "NA"],
        ["1", "4.0", "NA", "3.0"],
    ]


def test_appending_batches_to_a_file_of_epochs(path):
    write(path, {"loss": 1.0})
    logger = callbacks.CSVLogger(path, append=True, update_freq="batch")
    logger.on_train_begin()
    logger.on_epoch_begin(1)
    logger.on_train_batch_end(0, {"loss": 0.5})
    logger.on_epoch_end(1, {"loss": 0.25})
    logger.on_train_end()
    assert read(path) == [
        ["epoch", "loss", "val_loss", "batch"],
        ["0", "1.0", "NA", "NA"],
        ["1", "0.5", "NA", "0"],
        ["1", "0.25", "NA", "NA"],
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"epoch;loss\r\n0;1.0\r\n", r"first line is no header of ours, but .*epoch;loss"),
        (b"loss,loss,epoch\r\n", 'has "loss" twice'),
        ("epoch,größe\r\n".encode("latin-1"), "no text in UTF-8"),
        (b'epoch,loss\r\n0,"\r\n' + b"0,1.0\r\n" * 20, "quotation mark"),
        (b'{"a": 1, "precious": true}', "first line is no header of ours"),
        (b"epoch,loss\r0,1.0\r", "first line is no header of ours"),
    ],
)
def test_a_file_that_is_something_else_is_not_appended_to(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"log.csv: .*{reason}"):
        callbacks.CSVLogger(path, append=True).on_train_begin()
    assert path.read_bytes() == content


def test_appending_to_nothing_makes_a_file(path):
    write(path, {"loss": 1.0}, append=True)
    path.with_name("empty.csv").touch()
    write(path.with_name("empty.csv"), {"loss": 1.0}, append=True)
    assert path.read_bytes() == path.with_name("empty.csv").read_bytes()
    assert len(read(path)) == 2


NAMES = [
    "a,b",
    'say "loss"',
    "line\nbreak",
    "carriage\rreturn",
    " Größe ",
    "損失",
    "\U0001f600",
    "a;b",
]


@pytest.mark.parametrize("separator", [",", ";", "\t", "·", "."])
def test_names_and_texts_come_back_unchanged(path, separator):
    logs = {name: name for name in NAMES} | {"x": 0.5, "val_x": -1e-7}
    write(path, logs, separator=separator)
    header, row = read(path, delimiter=separator)
    fields = dict(zip(header, row, strict=True))
    assert [fields[name] for name in NAMES] == NAMES
    assert float(fields["x"]) == 0.5
    assert float(fields["val_x"]) == -1e-7


def test_half_a_surrogate_pair_is_escaped(path):
    write(path, {"a": "\ud800", "val_a": 1})
    assert read(path)[1] == ["0", "\\ud800", "1"]


def test_the_file_is_utf8_in_any_locale(path):
    code = f"""
    import locale
    from fitwatch import callbacks
    logger = callbacks.CSVLogger({str(path)!r})
    logger.on_train_begin()
    logger.on_epoch_end(0, {{"Gr\\u00f6\\u00dfe": 1.0, "val_\\u640d\\u5931": 2.0}})
    logger.on_train_end()
    """
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=environment)
    assert read(path)[0] == ["epoch", "Größe", "val_損失"]


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


FULL = """
import resource, signal, sys, warnings
from fitwatch import callbacks

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, freq = sys.argv[1:]
logger = callbacks.CSVLogger(path, update_freq=freq)
logger.on_train_begin()
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    for epoch in range(20):
        logger.on_epoch_begin(epoch)
        logger.on_train_batch_end(0, {"loss": 0.5})
        logger.on_epoch_end(epoch, {"loss": 0.25})
        if epoch == 15:
            print(repr(open(path, newline="").read()))
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    logger.on_train_end()
print([str(w.message) for w in warned if "CSVLogger" in str(w.message)])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
def test_a_full_disk_is_reported_once_leaves_no_torn_row_and_loses_nothing(path, update_freq):
    """A limit on the size of files stands for the disk: the last row fits in half."""
    run = [sys.executable, "-c", FULL, str(path), update_freq]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    while_full, warned = map(eval, done.stdout.splitlines())
    assert while_full.endswith("\r\n")
    assert 60 < len(while_full) <= 100
    assert len(warned) == 1
    assert "log.csv' cannot be written, and training goes on" in warned[0]
    epochs = [row[0] for row in read(path)[1:] if update_freq == "epoch" or row[1] == "NA"]
    assert epochs == [str(epoch) for epoch in range(20)]


@pytest.mark.parametrize("compiled", [True, False])
def test_rows_of_batches(make_model, data, path, compiled):
    x, y = data
    logger = callbacks.CSVLogger(path, update_freq="batch")
    seen = []
    keep = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
    with fitwatch.enabled() if compiled else contextlib.nullcontext():
        history = make_model().fit(
            x[:40],
            y[:40],
            batch_size=10,
            epochs=2,
            verbose=0,
            validation_split=0.25,
            callbacks=[logger, keep],
        )
    header, *rows = read(path)
    assert header == ["epoch", "batch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row[:2] for row in rows] == [
        [str(epoch), batch] for epoch in range(2) for batch in ["0", "1", "2", "NA"]
    ]
    assert [row[2:] for row in rows if row[1] != "NA"] == [
        [repr(logs["accuracy"]), repr(logs["loss"]), "NA", "NA"] for logs in seen
    ]
    assert [float(row[5]) for row in rows if row[1] == "NA"] == history.history["val_loss"]
    assert logger.keys == header[2:]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("every", "batches", "expected"),
    [
        (3, range(10), [2, 5, 8]),
        (3, [3, 7, 9], [3, 7, 9]),  # with steps_per_execution=4
        (4, [1, 3, 5, 7], [3, 7]),
        (100, range(10), []),
    ],
)
def test_rows_of_some_batches(path, compiled, every, batches, expected):
    logger = callbacks.CSVLogger(path, update_freq=every)
    listed = callbacks.CallbackList([logger]) if compiled else logger
    listed.on_train_begin()
    for epoch in range(2):
        listed.on_epoch_begin(epoch)
        for batch in batches:
            listed.on_train_batch_end(batch, {"loss": 0.5})
        listed.on_epoch_end(epoch, {"loss": 0.25})
    listed.on_train_end()
    rows = read(path)[1:]
    assert [int(row[1]) for row in rows if row[1] != "NA"] == expected * 2
    assert len(rows) == 2 * len(expected) + 2


def test_values_of_batches_that_are_no_numbers_or_have_no_column(path):
    callback_list = callbacks.CallbackList([callbacks.CSVLogger(path, update_freq="batch")])
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(4)
    callback_list.on_train_batch_end(0, {"a": 1.0})
    callback_list.on_train_batch_end(1, {"a": np.array([1.0, 2.0])})
    callback_list.on_train_batch_end(2, {"b": 3.0, "a": "text"})
    callback_list.on_train_batch_end(3, {"b": 3.0})
    callback_list.on_train_end()
    assert read(path) == [
        ["epoch", "batch", "a", "val_a", "b"],
        ["4", "0", "1.0", "NA", "NA"],
        ["4", "1", '"[1.0, 2.0]"', "NA", "NA"],
        ["4", "2", "text", "NA", "3.0"],
        ["4", "3", "NA", "NA", "3.0"],
    ]


def test_values_that_come_late_are_written_in_order(path, monkeypatch):
    use(monkeypatch, late_reader())
    callback_list = callbacks.CallbackList([callbacks.CSVLogger(path, update_freq=2)])
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    for batch in range(100):
        callback_list.on_train_batch_end(batch, {"loss": LateScalar(batch)})
    callback_list.on_epoch_end(0, {"loss": 1.0})
    rows = read(path)[1:-1]
    assert [row[1:3] for row in rows] == [[str(b), f"{b}.0"] for b in range(1, 100, 2)]


def test_rows_of_batches_reach_the_file_when_training_ends_in_an_exception(make_model, data, path):
    class Raises(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise ZeroDivisionError

    logger = callbacks.CSVLogger(path, update_freq="batch")
    with fitwatch.enabled(), pytest.raises(ZeroDivisionError):
        make_model().fit(*data, batch_size=5, verbose=0, callbacks=[logger, Raises()])
    assert [row[1] for row in read(path)[1:]] == [str(batch) for batch in range(6)]


def test_one_logger_for_two_fits(path):
    logger = write(path, {"loss": 1.0})
    logger.on_train_begin()
    logger.on_epoch_end(0, {"acc": 0.5})
    logger.on_train_end()
    assert read(path) == [["epoch", "acc", "val_acc"], ["0", "0.5", "NA"]]


def test_a_copy_opens_a_file_of_its_own(path):
    logger = callbacks.CSVLogger(path, update_freq="batch")
    logger.on_train_begin()
    logger.on_train_batch_end(0, {"loss": 1.0})
    for copied in (copy.copy(logger), copy.deepcopy(logger), pickle.loads(pickle.dumps(logger))):
        with pytest.raises(RuntimeError, match="on_train_begin must be called"):
            copied.on_epoch_end(0, {"loss": 2.0})
        assert copied.update_freq == "batch"
    logger.on_train_end()
    assert len(read(path)) == 2


def test_attributes_are_those_of_keras(path):
    ours, theirs = (module.CSVLogger(path, ";", True) for module in (callbacks, keras.callbacks))
    names = set(vars(theirs)) - {"validation_data", "_keys"}
    assert {name: getattr(ours, name) for name in names} == {
        name: getattr(theirs, name) for name in names
    }
    for logger in (ours, theirs):
        logger.on_train_begin()
        logger.on_epoch_end(0, {"b": 1.0, "a": 2.0})
        assert logger.keys == ["a", "b", "val_a", "val_b"]
        assert logger.append_header is (logger is ours)
        logger.on_train_end()
        assert logger.keys == ["a", "b", "val_a", "val_b"]


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


NARROW = """
import resource, signal, sys, warnings
from fitwatch import callbacks

warnings.simplefilter("ignore")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logger = callbacks.CSVLogger(sys.argv[1])
logger.on_train_begin()
for epoch in range(100):
    logger.on_epoch_end(epoch, {"loss": 0.5})
size = len(open(sys.argv[1], newline="").read())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 60, resource.RLIM_INFINITY))
for epoch in range(100, 103):
    logger.on_epoch_end(epoch, {"loss": 0.5, "late": 1.0})
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
logger.on_epoch_end(103, {"loss": 0.5, "late": 1.0})
logger.on_train_end()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_where_there_is_no_space_for_another_column_rows_go_on(path):
    subprocess.run([sys.executable, "-c", NARROW, str(path)], check=True)
    rows = read(path)
    assert rows[0] == ["epoch", "loss", "val_loss", "late"]
    assert [row[0] for row in rows[1:]] == [str(epoch) for epoch in range(104)]
    assert rows[-1][3] == "1.0"
    assert list(path.parent.iterdir()) == [path]


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


@pytest.mark.skipif(sys.platform == "win32", reason="no such file")
def test_a_device(make_model, data):
    """Its folder may be one that nobody can write to; and it is never replaced by a file."""
    logger = write("/dev/null", {"loss": 1.0})
    with pytest.warns(UserWarning, match="cannot be written"):
        write("/dev/null", {"loss": 1.0}, {"loss": 1.0, "late": 2.0})
    assert not os.path.isfile("/dev/null")
    assert logger.keys == ["loss", "val_loss"]


@pytest.mark.parametrize(("name", "update_freq"), [("epoch", "epoch"), ("batch", "batch")])
def test_a_metric_with_the_name_of_a_column_of_ours(path, name, update_freq):
    logger = callbacks.CSVLogger(path, update_freq=update_freq)
    logger.on_train_begin()
    with pytest.warns(UserWarning, match=f"the metric '{name}' is left out") as warned:
        for epoch in range(2):
            logger.on_epoch_begin(epoch)
            logger.on_epoch_end(epoch, {name: 77.0, "loss": 0.5})
    logger.on_train_end()
    assert len(warned) == 1
    rows = read(path)
    assert [row[0] for row in rows] == ["epoch", "0", "1"]
    assert "77.0" not in rows[1]
    write(path, {"loss": 0.25}, first=2, append=True)
    assert len(read(path)) == 4


def test_metrics_can_be_chosen_as_in_keras(path):
    for module in (callbacks, keras.callbacks):
        logger = module.CSVLogger(path)
        logger.on_train_begin()
        logger.keys = ["loss"]
        for epoch in range(2):
            logger.on_epoch_end(epoch, {"acc": 1.0, "loss": 0.5})
        logger.on_train_end()
        assert path.read_bytes() == b"epoch,loss\r\n0,0.5\r\n1,0.5\r\n"


def test_rows_of_epochs_are_not_in_the_way_of_keras_s_asynchronous_list(path):
    class Mine(callbacks.CSVLogger):
        def on_train_batch_end(self, batch, logs=None):
            pass

    assert callbacks.CSVLogger(path).async_safe
    assert not callbacks.CSVLogger(path, update_freq="batch").async_safe
    assert not Mine(path).async_safe
    mine = Mine(path)
    mine.async_safe = True  # as a subclass of Keras's may have it
    assert mine.async_safe


class Filtered(callbacks.CSVLogger):
    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_model"}


def test_a_subclass_with_a_state_of_its_own_can_be_pickled(make_model, data, path):
    logger = Filtered(path)
    make_model().fit(*data, verbose=0, callbacks=[logger])
    assert pickle.loads(pickle.dumps(logger)).filename == str(path)


TWO = """
import resource, signal, sys, warnings
from fitwatch import callbacks

warnings.simplefilter("ignore")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
one, two = (callbacks.CSVLogger(sys.argv[1], append=True) for _ in range(2))
one.on_train_begin()
one.on_epoch_end(0, {"loss": 0.5})
two.on_train_begin()
for epoch in range(1, 6):
    two.on_epoch_end(epoch, {"loss": 0.25})
size = len(open(sys.argv[1], newline="").read())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3, resource.RLIM_INFINITY))
one.on_epoch_end(6, {"loss": 0.5})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_what_somebody_else_has_appended_is_never_cut_off(path):
    subprocess.run([sys.executable, "-c", TWO, str(path)], check=True)
    assert path.read_bytes().endswith(b"\r\n")
    assert [row[0] for row in read(path)[1:]] == [str(epoch) for epoch in range(6)]


LONG = """
import resource, signal, sys, warnings
from fitwatch import callbacks

warnings.simplefilter("ignore")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logger = callbacks.CSVLogger(sys.argv[1])
logger.on_train_begin()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for epoch in range(3):
    logger.on_epoch_end(epoch, {"text": "x" * 700_000})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
logger.on_epoch_end(3, {"text": "y"})
logger.on_train_end()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_header_is_there_even_if_what_came_first_was_given_up(path):
    subprocess.run([sys.executable, "-c", LONG, str(path)], check=True)
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,text,val_text"
    assert lines[-1] == "3,y,NA"


def test_a_file_with_rows_that_are_too_long_is_not_appended_to(path):
    """Such as Keras makes, when it appends rows with other metrics."""
    write(path, {"a": 1.0, "val_a": 2.0})
    stock = keras.callbacks.CSVLogger(path, append=True)
    stock.on_train_begin()
    stock.on_epoch_end(1, {"a": 1.0, "b": 2.0})
    stock.on_train_end()
    with pytest.raises(ValueError, match=r"log\.csv: its line 3 has more fields than its header"):
        callbacks.CSVLogger(path, append=True).on_train_begin()


def test_a_loop_without_on_epoch_begin_has_its_epochs(path):
    logger = callbacks.CSVLogger(path, update_freq="batch")
    logger.on_train_begin()
    for epoch in range(2):
        for batch in range(2):
            logger.on_train_batch_end(batch, {"loss": 0.5})
        logger.on_epoch_end(epoch, {"loss": 0.5})
    logger.on_train_end()
    assert [row[0] for row in read(path)[1:]] == ["0"] * 3 + ["1"] * 3
