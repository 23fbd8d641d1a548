"""The files of callbacks when a run is resumed: no row or point is missing or duplicated."""

import contextlib
import csv
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest
from crashes import Crashes
from event_reader import steps

import fitwatch
from fitwatch.callbacks import BackupAndRestore, CSVLogger, TensorBoard


def fit(make_model, data, folder, after=0, **log):
    listed = [
        CSVLogger(folder / "log.csv", **log),
        TensorBoard(folder / "board", update_freq="batch"),
        BackupAndRestore(folder / "backup", delete_checkpoint=False),
        Crashes(after),
    ]
    model = make_model()
    model.fit(*data, batch_size=10, epochs=4, verbose=0, validation_split=0.2, callbacks=listed)


def crash(*arguments, **log):
    """In a thread: a fit that crashes in a stock list leaves TensorFlow's default writer and step.

    So it does with Keras's own class. TensorFlow has them for each thread, and later tests with
    Keras's callback would write there.
    """
    with ThreadPoolExecutor(1) as thread, pytest.raises(InterruptedError):
        thread.submit(fit, *arguments, **log).result()


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return [(row["epoch"], row.get("batch")) for row in csv.DictReader(file)]


def points(folder, tag="batch_loss", part="train"):
    return steps(folder / "board" / part, tag)


@pytest.mark.parametrize(
    ("compiled", "append", "update_freq"),
    [(True, True, "batch"), (True, False, "epoch"), (False, False, "batch")],
)
def test_rows_and_points_go_on(make_model, data, tmp_path, compiled, append, update_freq):
    log = {"append": append, "update_freq": update_freq}
    with fitwatch.enabled() if compiled else contextlib.nullcontext():
        # In the third epoch; in the second of the next one; before the first batch of another.
        crash(make_model, data, tmp_path, 12, **log)
        crash(make_model, data, tmp_path, 7, **log)
        crash(make_model, data, tmp_path, 1, **log)
        fit(make_model, data, tmp_path, **log)
    by_epoch = [(str(epoch), "NA" if update_freq == "batch" else None) for epoch in range(4)]
    if update_freq == "epoch":
        assert rows(tmp_path) == by_epoch
    else:
        by_batch = [(str(epoch), str(batch)) for epoch in range(4) for batch in range(5)]
        assert sorted(rows(tmp_path)) == sorted(by_batch + by_epoch)
    assert points(tmp_path) == list(range(1, 21))
    assert points(tmp_path, "epoch_loss") == list(range(4))
    assert points(tmp_path, "epoch_loss", "validation") == list(range(4))


def test_a_column_that_came_after_the_backup(data, tmp_path):
    """The rows of the file are longer then than they were."""

    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch > 0:
                logs["late"] = 1.0

    def run(after):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        logger = CSVLogger(tmp_path / "log.csv")
        backup = BackupAndRestore(tmp_path / "backup")

        class CrashesInTheEnd(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == after:
                    raise InterruptedError

        # The row is written, and the backup is not made.
        listed = [Adds(), logger, CrashesInTheEnd(), backup]
        model.fit(*data, epochs=3, verbose=0, callbacks=listed)

    with pytest.raises(InterruptedError):
        run(1)
    assert rows(tmp_path) == [("0", None), ("1", None)]
    run(None)
    assert rows(tmp_path) == [("0", None), ("1", None), ("2", None)]


def test_a_log_that_is_gone_is_told_of(make_model, data, tmp_path):
    crash(make_model, data, tmp_path, 12)
    (tmp_path / "log.csv").unlink()
    with pytest.warns(UserWarning, match="has 0 rows, but the backup knows of 2"):
        fit(make_model, data, tmp_path)
    assert rows(tmp_path) == [("2", None), ("3", None)]


def test_files_of_others_are_left_alone(make_model, data, tmp_path):
    crash(make_model, data, tmp_path, 12)
    second = int(time.time()) + 100
    folder = tmp_path / "board" / "train"
    for name in (
        f"events.out.tfevents.{second}.host.1.fitwatch.0",
        f"events.out.tfevents.{second}.host.1.fitwatch.0123abcd.0",
        f"events.out.tfevents.{second}.host.1.0.v2",
        "notes.txt",
    ):
        (folder / name).write_bytes(b"")
    before = {path.name for path in folder.iterdir()}
    fit(make_model, data, tmp_path)
    assert before <= {path.name for path in folder.iterdir()}


def test_a_run_from_the_beginning_takes_nothing_out(make_model, data, tmp_path):
    fit(make_model, data, tmp_path)
    count = len(points(tmp_path))
    for path in (tmp_path / "backup").iterdir():
        path.unlink()
    fit(make_model, data, tmp_path)
    assert len(points(tmp_path)) == 2 * count
