"""Rows of the table in docs/moving.md that are about files and logs: beside Keras."""

import contextlib
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from csv_files import read as read_csv

from fitwatch import callbacks

STOCK = keras.callbacks
MODULES = {"keras": STOCK, "fitwatch": callbacks}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
WEIGHTS = {"monitor": "loss", "save_best_only": True, "save_weights_only": True}


@pytest.fixture(scope="module")
def model():
    """One for all: nothing is trained."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def begun(callback, model):
    callback.set_params({"epochs": 9, "steps": 6, "verbose": 0})
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return callback


def log(module, path, *epochs, first=0, **options):
    """A run of CSVLogger, by hand."""
    logger = module.CSVLogger(str(path), **options)
    logger.on_train_begin()
    for epoch, logs in enumerate(epochs, first):
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()


# Checkpoints and backups.


@each_module
def test_the_best_of_batches(module, model, tmp_path):
    path = tmp_path / "{batch}.weights.h5"
    saver = begun(module.ModelCheckpoint(path, save_freq=2, **WEIGHTS), model)
    expected = pytest.raises(TypeError, match="'NoneType' object is not callable")
    with expected if module is STOCK else contextlib.nullcontext():
        for batch, loss in enumerate([5.0, 4.0, 4.0, 6.0, 4.0, 3.0]):
            saver.on_train_batch_end(batch, {"loss": loss})
    names = ["2.weights.h5"] if module is STOCK else ["2.weights.h5", "6.weights.h5"]
    assert sorted(os.listdir(tmp_path)) == names


@pytest.mark.filterwarnings("ignore:.*val_loss")
@each_module
def test_the_best_of_validations(module, model, tmp_path):
    """A save is due after every second batch, and the second epoch has the best validation."""
    path = tmp_path / "best.weights.h5"
    saver = module.ModelCheckpoint(
        path, save_freq=2, save_best_only=True, save_weights_only=True, mode="min"
    )
    begun(saver, model)
    for epoch, val_loss in enumerate([3.0, 1.0, 2.0]):
        saver.on_epoch_begin(epoch)
        for batch in range(5):
            model.layers[0].kernel.assign([[5.0 * epoch + batch]])
            saver.on_train_batch_end(batch, {"loss": 0.5})
        saver.on_epoch_end(epoch, {"loss": 0.5, "val_loss": val_loss})
    model.load_weights(path)
    kernel = float(np.squeeze(keras.ops.convert_to_numpy(model.layers[0].kernel)))
    # Batches are counted across epochs: the fourteenth is the last one that is due.
    assert kernel == (13.0 if module is STOCK else 9.0)


@each_module
def test_a_field_that_no_metric_has(module, model, tmp_path):
    path = str(tmp_path / "{nothing}.weights.h5")
    saver = begun(module.ModelCheckpoint(path, save_weights_only=True), model)
    with pytest.raises(KeyError, match="nothing"):
        saver.on_epoch_end(0, {"loss": 0.5})
    saver = begun(module.ModelCheckpoint(path, save_weights_only=True, save_freq=3), model)
    for batch in range(2 if module is STOCK else 0):
        saver.on_train_batch_end(batch, {"loss": 0.5})
    with pytest.raises(KeyError, match="nothing"):
        saver.on_train_batch_end(2 if module is STOCK else 0, {"loss": 0.5})


def test_a_folder_of_checkpoints_that_cannot_be_made(model, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.weights.h5"
    theirs = begun(STOCK.ModelCheckpoint(path, save_weights_only=True), model)
    with pytest.raises(OSError, match="file"):
        theirs.on_epoch_end(0, {"loss": 0.5})
    with pytest.raises(OSError, match="file"):
        begun(callbacks.ModelCheckpoint(path, save_weights_only=True), model)


@pytest.mark.filterwarnings("ignore:.*a metric or a weight is not finite")
@each_module
def test_checkpoint_and_backup_after_the_first_nan(module, model, tmp_path):
    path = tmp_path / "x.weights.h5"
    made = [
        module.TerminateOnNaN(),
        module.ModelCheckpoint(path, save_weights_only=True),
        module.BackupAndRestore(tmp_path / "backup"),
    ]
    listed = module.CallbackList(made, model=model, epochs=2, verbose=0)
    listed._async_train = False
    listed.on_train_begin()
    contents = []
    for epoch, loss in enumerate([0.5, np.nan]):
        model.layers[0].kernel.assign([[float(epoch)]])
        listed.on_epoch_begin(epoch)
        listed.on_train_batch_begin(0)
        listed.on_train_batch_end(0, {"loss": loss})
        listed.on_epoch_end(epoch, {"loss": loss})
        files = path, tmp_path / "backup" / "latest.weights.h5"
        contents.append([file.read_bytes() for file in files])
    listed.on_train_end()
    model.stop_training = False
    same = [one == other for one, other in zip(*contents, strict=True)]
    assert same == [module is callbacks] * 2
    assert (tmp_path / "backup").exists() == (module is callbacks)


# CSV files.


def test_a_metric_that_turns_up_late(tmp_path):
    epochs = {"loss": 1.0, "val_loss": 2.0}, {"loss": 0.5, "rate": 0.1, "val_loss": 2.0}
    log(STOCK, tmp_path / "theirs", *epochs)
    log(callbacks, tmp_path / "ours", *epochs)
    theirs, ours = read_csv(tmp_path / "theirs"), read_csv(tmp_path / "ours")
    assert theirs == [["epoch", "loss", "val_loss"], ["0", "1.0", "2.0"], ["1", "0.5", "2.0"]]
    added = ["rate", "NA", "0.1"]
    assert ours == [[*row, one] for row, one in zip(theirs, added, strict=True)]


def test_a_file_without_validation(tmp_path):
    """The same to the byte: it has columns for a validation that may come."""
    for name, module in MODULES.items():
        log(module, tmp_path / name, {"loss": 1.0, "acc": 0.5})
    content = b"epoch,acc,loss,val_acc,val_loss\r\n0,0.5,1.0,NA,NA\r\n"
    assert [(tmp_path / name).read_bytes() for name in MODULES] == [content] * 2


@each_module
def test_a_subclass_without_empty_columns(module, tmp_path):
    """The example on the page, with a later validation."""

    class NoEmptyColumns(module.CSVLogger):
        def on_epoch_end(self, epoch, logs=None):
            self.keys = sorted({*(self.keys or []), *(logs or {})})
            super().on_epoch_end(epoch, logs)

    def run(*epochs, first=0, append=False):
        logger = NoEmptyColumns(str(tmp_path / "log.csv"), append=append)
        logger.on_train_begin()
        for epoch, logs in enumerate(epochs, first):
            logger.on_epoch_end(epoch, logs)
        logger.on_train_end()

    run({"loss": 1.0, "acc": 0.5}, {"loss": 0.5, "acc": 0.75})
    rows = [["epoch", "acc", "loss"], ["0", "0.5", "1.0"], ["1", "0.75", "0.5"]]
    assert read_csv(tmp_path / "log.csv") == rows
    late = {"loss": 0.5, "acc": 0.75, "val_loss": 0.25}
    if module is STOCK:
        with pytest.raises(ValueError, match="fields not in fieldnames: 'val_loss'"):
            run({"loss": 1.0, "acc": 0.5}, late)
        return
    for append in (False, True):
        run({"loss": 1.0, "acc": 0.5}, late, {"loss": 0.5}, append=append)
        rows = [["0", "0.5", "1.0", "NA"], ["1", "0.75", "0.5", "0.25"], ["2", "NA", "0.5", "NA"]]
        header, *found = read_csv(tmp_path / "log.csv")
        assert header == ["epoch", "acc", "loss", "val_loss"]
        assert found == rows * (1 + append)


@pytest.mark.filterwarnings("ignore:.*was cut short")
def test_a_last_line_that_was_cut_short(tmp_path):
    for name, module in MODULES.items():
        (tmp_path / name).write_bytes(b"epoch,loss,val_loss\r\n0,1.0,2.0\r\n1,0.2")
        log(module, tmp_path / name, {"loss": 0.5, "val_loss": 2.5}, first=1, append=True)
    header, first, *rows = read_csv(tmp_path / "keras")
    assert rows == [["1", "0.21", "0.5", "2.5"]]
    assert read_csv(tmp_path / "fitwatch") == [header, first, ["1", "0.5", "2.5"]]


def test_a_file_with_other_columns(tmp_path):
    for name, module in MODULES.items():
        log(module, tmp_path / name, {"b": 1.0, "val_b": 2.0})
        log(module, tmp_path / name, {"a": 3.0, "b": 4.0}, first=1, append=True)
    header, first, row = read_csv(tmp_path / "keras")
    assert header == ["epoch", "b", "val_b"]
    assert row == ["1", "3.0", "4.0", "NA", "NA"]
    ours = read_csv(tmp_path / "fitwatch")
    assert ours == [[*header, "a"], [*first, "NA"], ["1", "4.0", "NA", "3.0"]]
    for name, module in MODULES.items():
        (tmp_path / name).write_text("a letter\n")
        refused = pytest.raises(ValueError, match="header")
        with contextlib.nullcontext() if module is STOCK else refused:
            log(module, tmp_path / name, {"a": 3.0}, append=True)


def test_a_locale_that_is_not_utf8(tmp_path):
    script = """
import keras
from fitwatch import callbacks
for module in (callbacks, keras.callbacks):
    logger = module.CSVLogger("log.csv")
    logger.on_train_begin()
    try:
        logger.on_epoch_end(0, {"Gr\\u00f6\\u00dfe": 1.0})
        print(open("log.csv", encoding="utf-8").read()[:11].encode())
    except UnicodeEncodeError as error:
        print(error.reason)
"""
    # The backend has no part in it, and NumPy's is there at once.
    environment = {
        **os.environ, "KERAS_BACKEND": "numpy",
        "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    expected = [str("epoch,Größe".encode()), "ordinal not in range(128)"]
    assert done.stdout.splitlines() == expected


def test_a_missing_folder_and_a_remote_file(tmp_path):
    pytest.importorskip("tensorflow")
    rows = [["epoch", "loss", "val_loss"], ["0", "1.0", "NA"]]
    with pytest.raises(FileNotFoundError):
        log(STOCK, tmp_path / "new" / "log.csv", {"loss": 1.0})
    log(callbacks, tmp_path / "new" / "log.csv", {"loss": 1.0})
    assert read_csv(tmp_path / "new" / "log.csv") == rows
    # TensorFlow opens that as it opens gs://.
    with pytest.raises(AttributeError, match="closed"):
        log(STOCK, f"file://{tmp_path}/theirs", {"loss": 1.0})
    log(callbacks, f"file://{tmp_path}/ours", {"loss": 1.0})
    assert read_csv(tmp_path / "ours") == rows


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_csv_file_on_a_full_disk():
    with pytest.raises(OSError, match="No space left"):
        log(STOCK, "/dev/full", {"loss": 1.0}, {"loss": 1.0})
    with pytest.warns(UserWarning, match="cannot be written, and training goes on") as warned:
        log(callbacks, "/dev/full", {"loss": 1.0}, {"loss": 1.0})
    assert len(warned) == 1
