"""Attributes in pickles of fitwatch 0.1.0, whose callbacks had no attachment."""

from operator import attrgetter
from typing import Any

# The place of each attribute now, relative to the attachment. Those of a running fit are dropped.
_PLACES = {
    "_fitwatch_core": "core",
    "_foreign": "foreign",
    "_given_as_int": "given_as_int",
    "_monitor_op": "op",
    "_core_compares": "core_compares",
    "_fitwatch_extended": "extended",
    "_fitwatch_loaded": "state.loaded",
    "_fitwatch_inexact": "steps.inexact",
    # EarlyStopping and ReduceLROnPlateau
    "_fitwatch_watched": "watched",
    "_fitwatch_relative": "relative",
    "_fitwatch_unit": "batches.unit",
    "_fitwatch_max_time": "batches.max_time",
    "_fitwatch_before": "batches.before",
    "_fitwatch_stop_reason": "reason",
    "_fitwatch_own_words": "own_words",
    # ModelCheckpoint; in BackupAndRestore the second name meant something else
    "_fitwatch_best_in_file": "best_in_file.is_wanted",
    "_fitwatch_due": "decisions.due",
    # BackupAndRestore
    "_fitwatch_folder": "folder",
    # CSVLogger
    "_fitwatch_remote": "remote",
    "_fitwatch_keys": "keys",
    "_fitwatch_keep": "keep",
    # LearningRateScheduler
    "_fitwatch_step": "step",
    "_fitwatch_epoch_start": "epoch_start",
    # LossHistory
    "_record": "record",
    # ProgbarLogger
    "_fitwatch_progress": "progress",
    # TensorBoard
    "_train_batches": "train_batches",
    "_test_batches": "test_batches",
    "_next_epoch": "next_epoch",
    # TerminateOnNaN
    "_fitwatch_spoiled": "is_spoiled",
}


def take(attachment: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Moves such attributes to an attachment.

    Args:
        attachment: The attachment of the callback.
        attributes: The attributes of a pickled callback.

    Returns:
        The remaining attributes.
    """
    for name in attributes.keys() & _PLACES.keys():
        owner, _, attribute = _PLACES[name].rpartition(".")
        try:
            of = attrgetter(owner)(attachment) if owner else attachment
        except AttributeError:  # the name meant something else in this class
            continue
        setattr(of, attribute, attributes[name])
    gone = {*_PLACES, "_fitting", "_fields_checked", "_missing_reported", "_rate"}
    return {
        name: value
        for name, value in attributes.items()
        if name not in gone and not name.startswith("_fitwatch_")
    }
