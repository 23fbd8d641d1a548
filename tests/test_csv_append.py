"""CSVLogger(append=True) on an existing file."""

import keras
import pytest
from csv_files import read, write

from fitwatch import callbacks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.csv"


def test_a_torn_last_line_is_taken_out_and_shown(path):
    write(path, {"a": 1.0, "val_a": 2.0})
    with open(path, "ab") as file:
        file.write(b"1,0.12")
    with pytest.warns(UserWarning, match=r"log\.csv' was cut short.*removed: '1,0\.12'"):
        write(path, {"a": 0.5, "val_a": 1.0}, first=1, append=True)
    assert read(path) == [["epoch", "a", "val_a"], ["0", "1.0", "2.0"], ["1", "0.5", "1.0"]]


def test_half_a_number_is_not_taken_for_one(path):
    """What was 9.9999e-05."""
    path.write_text("epoch,a\n0,9.9999")
    with pytest.warns(UserWarning, match=r"removed: '0,9\.9999'"):
        write(path, {"a": 0.5}, first=1, append=True)
    assert read(path) == [["epoch", "a"], ["1", "0.5"]]


def test_half_a_line_end_is_completed(path):
    path.write_bytes(b"epoch,a\r\n0,1.0\r")
    with pytest.warns(UserWarning, match="was completed"):
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
        (
            b"epoch;loss\r\n0;1.0\r\n",
            "expected a header with the column 'epoch', found \"epoch;loss\"",
        ),
        (b"loss,loss,epoch\r\n", 'the header has the column "loss" twice'),
        ("epoch,größe\r\n".encode("latin-1"), "the header is not in UTF-8"),
        (b'epoch,loss\r\n0,"\r\n' + b"0,1.0\r\n" * 20, "quotation mark"),
        (b'{"a": 1, "precious": true}', "expected a header with the column"),
        (b"epoch,loss\r0,1.0\r", "expected a header with the column"),
    ],
)
def test_a_file_that_is_something_else_is_not_appended_to(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"log.csv: .*{reason}"):
        callbacks.CSVLogger(path, append=True).on_train_begin()
    assert path.read_bytes() == content


def test_a_file_with_rows_that_are_too_long_is_not_appended_to(path):
    """Such as Keras makes, when it appends rows with other metrics."""
    write(path, {"a": 1.0, "val_a": 2.0})
    stock = keras.callbacks.CSVLogger(path, append=True)
    stock.on_train_begin()
    stock.on_epoch_end(1, {"a": 1.0, "b": 2.0})
    stock.on_train_end()
    with pytest.raises(ValueError, match=r"log\.csv: line 3 has more fields than the header"):
        callbacks.CSVLogger(path, append=True).on_train_begin()


def test_appending_to_nothing_makes_a_file(path):
    write(path, {"loss": 1.0}, append=True)
    path.with_name("empty.csv").touch()
    write(path.with_name("empty.csv"), {"loss": 1.0}, append=True)
    assert path.read_bytes() == path.with_name("empty.csv").read_bytes()
    assert len(read(path)) == 2
