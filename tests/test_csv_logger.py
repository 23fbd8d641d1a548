"""CSVLogger: intended differences from Keras's, and rows of batches."""

import contextlib
import copy
import os
import pickle
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from csv_files import read, write
from scalars import LateScalar, late_reader, use

import fitwatch
from fitwatch import callbacks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.csv"


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


def test_a_loop_without_on_epoch_begin_has_its_epochs(path):
    logger = callbacks.CSVLogger(path, update_freq="batch")
    logger.on_train_begin()
    for epoch in range(2):
        for batch in range(2):
            logger.on_train_batch_end(batch, {"loss": 0.5})
        logger.on_epoch_end(epoch, {"loss": 0.5})
    logger.on_train_end()
    assert [row[0] for row in read(path)[1:]] == ["0"] * 3 + ["1"] * 3
