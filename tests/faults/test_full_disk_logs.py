"""A CSV file on a disk that is full for a while: training continues."""

import csv
import warnings

import disks
import numbered

import fitwatch
from fitwatch.callbacks import CSVLogger, LambdaCallback

# Rows of about twenty bytes, in each epoch: more than a block of the disk.
BATCHES, EPOCHS = 300, 5


def test_training_goes_on_with_one_warning_and_no_row_is_lost(tmp_path):
    def begins(epoch, logs):
        if epoch == 1:
            disks.occupy(disk, free=4096)
        if epoch == 3:
            disks.release(disk)

    with disks.mounted(tmp_path / "disk") as disk:
        logger = CSVLogger(disk / "log.csv", update_freq="batch")
        with fitwatch.enabled(), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            history = numbered.make_model().fit(
                **numbered.data(BATCHES),
                batch_size=1,
                epochs=EPOCHS,
                callbacks=[logger, LambdaCallback(on_epoch_begin=begins)],
            )
        with open(disk / "log.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    assert len(history.epoch) == EPOCHS
    said = [str(warning.message) for warning in warned if "CSVLogger" in str(warning.message)]
    assert len(said) == 1
    assert "log.csv' cannot be written, and training goes on" in said[0]
    batches = [*map(str, range(BATCHES)), "NA"]
    expected = [(str(epoch), batch) for epoch in range(EPOCHS) for batch in batches]
    assert [(row["epoch"], row["batch"]) for row in rows] == expected
