"""Folders that cannot be written: the error comes before training, and names the argument."""

import disks
import numbered
import pytest

import fitwatch
from fitwatch.callbacks import (
    BackupAndRestore,
    CSVLogger,
    LambdaCallback,
    LossHistory,
    ModelCheckpoint,
    TensorBoard,
)

MAKE = {
    "filepath": lambda folder: ModelCheckpoint(folder / "{epoch}.keras"),
    "backup_dir": lambda folder: BackupAndRestore(folder / "backup"),
    "filename": lambda folder: CSVLogger(folder / "log.csv"),
    "log_dir": lambda folder: TensorBoard(folder / "logs"),
    "plot": lambda folder: LossHistory(plot=folder / "losses.png"),
}


CASES = [(argument, below) for argument in MAKE for below in ("", "new")]


@pytest.mark.parametrize(("argument", "below"), CASES)
def test_a_read_only_folder_is_known_before_training(tmp_path, argument, below):
    batches = []
    watch = LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(batch))
    with disks.mounted(tmp_path / "disk") as disk, fitwatch.enabled():
        callback = MAKE[argument](disk / below)
        disks.make_read_only(disk)
        with pytest.raises(OSError, match=f"^.*{argument}: .*Read-only"):
            numbered.make_model().fit(**numbered.data(), callbacks=[callback, watch])
    assert not batches
