"""Bad input is refused at construction: argument, value and what is allowed are named."""

import datetime
import inspect
import math
import re

import numpy as np
import pytest
import wandb_stand_in
from catalogue import MAKERS

from fitwatch import callbacks

NAN = math.nan
NUMPY = [np.True_, np.str_("3"), np.array("3"), np.complex128(3), np.timedelta64(3, "s")]
NOT_COUNTS = [-1, NAN, 2.5, True, "3", None, -math.inf, [1], 3 + 0j, *NUMPY]
NOT_FREQUENCIES = [bad for bad in NOT_COUNTS if bad not in (True, None)]
NOT_NUMBERS = [NAN, True, "0.1", [0.1], np.array([0.1, 0.2]), 1j, *NUMPY]
NOT_FLAGS = ["yes", 2, 0.5, [], np.array([1, 2])]
NOT_TEXTS = ["", None, 3, ["loss"], b"loss"]
NOT_PATHS = ["", None, 3, True, b"x.keras"]

# What only fitwatch has.
ADDED = {
    "unit": ["step", "", None, 1],
    "halflife": [0, -1, math.inf, *NOT_NUMBERS],
    "min_delta_mode": ["relative", "", None, 1],
}
MONITORS = {
    **ADDED,
    "monitor": NOT_TEXTS,
    "min_delta": [*NOT_NUMBERS, None],
    "patience": NOT_COUNTS,
    "verbose": [-1, "auto", None, 0.5],
}
BAD = {
    callbacks.EarlyStopping: {
        **MONITORS,
        "monitor": ["", None, 3, [], ["loss", ""], [3], ["loss", "loss"], b"loss"],
        "combine": ["both", "", None, 1],
        "max_time": [0, -1, datetime.timedelta(0), *NOT_NUMBERS],
        "divergence_threshold": NOT_NUMBERS,
        "stopping_threshold": NOT_NUMBERS,
        "baseline": NOT_NUMBERS,
        "restore_best_weights": NOT_FLAGS,
        "start_from_epoch": [*NOT_COUNTS, math.inf],
    },
    callbacks.ReduceLROnPlateau: {
        **MONITORS,
        "factor": [0, 1, -0.5, 1.5, math.inf, *NOT_NUMBERS],
        "cooldown": [*NOT_COUNTS, math.inf],
        "min_lr": [-0.1, *NOT_NUMBERS],
    },
    callbacks.ModelCheckpoint: {
        "filepath": [*NOT_PATHS, "model.pkl", "{epoch.keras", "{}.keras", "{0}.keras", "a}.keras"],
        "monitor": NOT_TEXTS,
        "verbose": [-1, "auto", None],
        "save_best_only": NOT_FLAGS,
        "save_weights_only": NOT_FLAGS,
        "save_freq": [0, -1, True, 2.5, NAN, None, "batch", ""],
        "initial_value_threshold": NOT_NUMBERS,
    },
    callbacks.TensorBoard: {
        "loss": ["mean", "", None, 1],
        "log_dir": [*NOT_PATHS[:-1], "gs://bucket/logs", "hdfs://host/logs"],
        "update_freq": [0, -1, True, 2.5, NAN, None, "batches", ""],
        "histogram_freq": NOT_FREQUENCIES,
        "embeddings_freq": NOT_FREQUENCIES,
        "write_graph": NOT_FLAGS,
        "write_images": NOT_FLAGS,
        "write_steps_per_second": NOT_FLAGS,
        "continue_steps": NOT_FLAGS,
        "embeddings_metadata": [1, ["m.tsv"], {"layer": 1}, {"layer": ""}],
        "profile_batch": [-1, True, 1.5, "abc", ("a", "b"), (1.5, 2.5), (5, 2), (1, 2, 3), None],
    },
    callbacks.CSVLogger: {
        "loss": ["mean", "", None, 1],
        "filename": NOT_PATHS[:-1],
        "separator": ["", ",,", '"', "\n", "\r", 3, None, b","],
        "append": NOT_FLAGS,
        "update_freq": [0, -1, True, 2.5, NAN, None, "batches", ""],
    },
    callbacks.GradientMonitor: {
        **dict.fromkeys(["norm", "clipped", "per_layer", "update_ratio"], tuple(NOT_FLAGS)),
        "every": [0, *NOT_COUNTS],
    },
    callbacks.LearningRateScheduler: {
        "schedule": [None, 0.1, "min", [0.1]],
        "verbose": [-1, "auto", None],
        "unit": ["step", "", None, 1],
    },
    callbacks.TerminateOnNaN: {
        "raise_error": NOT_FLAGS,
        "monitor": [[], "", None, 3, [3], ["loss", ""], {"loss"}],
    },
    callbacks.LossHistory: {
        "plot": [
            "gs://bucket/run.png",
            "",
            3,
            "{batch}.png",
            "{epoch.png",
            "{}.png",
            "{epoch:q}",
            "{epoch[0]}",
            "{epoch!z}",
        ],
        "title": [3],
        "loss": ["mean", "", None, 1],
        "xlabel": [None, 3],
        "capacity": [0, 10**30, *(bad for bad in NOT_COUNTS if bad is not None)],
    },
    callbacks.BlockLogger: {
        "action": [None, "print", 3],
        "every": [0, *NOT_COUNTS, math.inf],
        "columns": ["", [], 3, [3]],
        "seconds": [0, -1, math.nan, "10"],
        "background": NOT_FLAGS,
    },
    callbacks.MemoryMonitor: {"every": [0, *NOT_COUNTS, math.inf]},
    callbacks.MLflowLogger: {
        "run_id": ["", 3, b"run"],
        "log_params": NOT_FLAGS,
        "every": [0, *NOT_COUNTS, math.inf],
        "columns": ["", 3, [], [3], ["loss", ""]],
        "seconds": [0, -1, *NOT_NUMBERS],
    },
    callbacks.SpikeDetection: {
        "monitor": ["", "val_loss", None, 3, ["loss"]],
        "mode": ["larger", "", None, 1],
        "threshold": [0, -1, math.inf, math.nan, None, "20"],
        "window": [0, *NOT_COUNTS, math.inf],
        "warmup": [*NOT_COUNTS, math.inf],
        "action": ["restore", "", None, 1],
        "snapshot_every": [0, *NOT_COUNTS, math.inf],
        "max_to_keep": [0, 1, *NOT_COUNTS, math.inf],
        "lr_factor": [0, -1, 1.5, math.nan, None, "1"],
        "max_rollbacks": [0, *NOT_COUNTS, math.inf],
    },
    callbacks.Validation: {
        "every": [0, *NOT_COUNTS, math.inf],
        "batch_size": [0, *(bad for bad in NOT_COUNTS if bad is not None)],
        "steps": [0, *(bad for bad in NOT_COUNTS if bad is not None)],
        "name": ["", None, 3, "test"],
    },
    callbacks.ThroughputMonitor: {
        "window": [0, *NOT_COUNTS, math.inf],
        "report": NOT_FLAGS,
    },
    callbacks.WandbLogger: {
        "run": ["run", 3],
        "every": [0, *NOT_COUNTS, math.inf],
        "columns": ["", [], 3, [3]],
        "seconds": [0, -1, math.nan, "10"],
    },
}
REQUIRED = {
    callbacks.ModelCheckpoint: {"filepath": "model.keras"},
    callbacks.CSVLogger: {"filename": "log.csv"},
    callbacks.BlockLogger: {"action": len},
    callbacks.LearningRateScheduler: {"schedule": min},
    callbacks.WandbLogger: {"run": wandb_stand_in.Run()},
}
CASES = [
    pytest.param(cls, name, value, id=f"{cls.__name__}-{name}-{value!r}")
    for cls, arguments in BAD.items()
    for name, values in arguments.items()
    for value in values
]


def test_every_class_with_arguments_is_here():
    classes = [getattr(callbacks, name) for name in MAKERS]
    elsewhere = {callbacks.BackupAndRestore}  # in test_backup_and_restore.py
    assert set(BAD) == {cls for cls in classes if inspect.signature(cls).parameters} - elsewhere


@pytest.mark.parametrize(("cls", "argument", "value"), CASES)
def test_is_refused(cls, argument, value):
    with pytest.raises((TypeError, ValueError)) as caught:
        cls(**{**REQUIRED.get(cls, {}), argument: value})
    message = str(caught.value)
    assert argument in message
    assert "must" in message or re.search(r"valid|expected|field", message, re.IGNORECASE)
    assert repr(value) in message or (str(value) and str(value) in message)


@pytest.mark.parametrize("cls", BAD)
def test_a_misspelled_keyword_is_refused(cls):
    with pytest.raises(TypeError, match="unexpected"):
        cls(**REQUIRED.get(cls, {}), **{"unexpected": 1})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("mode", ["min"]),
        ("mode", ["min", "up"]),
        ("min_delta", [0.1, "a"]),
        ("min_delta", [0.1, 0.1, 0.1]),
        ("baseline", 0.5),
        ("divergence_threshold", 3),
        ("divergence_threshold", [3, math.nan]),
        ("stopping_threshold", 3),
        ("stopping_threshold", [3, math.nan]),
    ],
)
def test_several_metrics_have_one_value_each(argument, value):
    with pytest.raises((TypeError, ValueError), match=f"{argument} must"):
        callbacks.EarlyStopping(["loss", "acc"], **{argument: value})


def test_a_gradient_monitor_measures_something():
    with pytest.raises(ValueError, match="one of norm, clipped, per_layer and update_ratio must"):
        callbacks.GradientMonitor(norm=False)


@pytest.mark.parametrize("cls", [callbacks.CSVLogger, callbacks.TensorBoard])
def test_losses_of_batches_where_none_are_written(cls):
    with pytest.raises(ValueError, match="loss must be 'running' with update_freq='epoch'"):
        cls("x", loss="batch")


@pytest.mark.parametrize("cls", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_batches_have_no_validation(cls):
    with pytest.raises(ValueError, match=r"monitor must be a training metric.*'val_loss'"):
        cls(unit="batch")


def test_weights_need_their_suffix():
    with pytest.raises(ValueError, match=r"`\.weights\.h5`.*best\.h5"):
        callbacks.ModelCheckpoint("best.h5", save_weights_only=True)


@pytest.mark.parametrize("never", [2**63 - 1, np.int64(2**63 - 1)])
def test_the_largest_whole_number_is_one(never):
    assert callbacks.ModelCheckpoint("x.keras", save_freq=never).save_freq == 2**63 - 1
    assert callbacks.ReduceLROnPlateau(cooldown=never).cooldown == 2**63 - 1
    assert callbacks.LossHistory(capacity=never).capacity == 2**63 - 1
