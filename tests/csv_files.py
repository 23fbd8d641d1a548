"""Files of CSVLogger, written by hand and read back."""

import csv

from fitwatch import callbacks


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
