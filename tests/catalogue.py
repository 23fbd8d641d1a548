"""The callbacks that are fitwatch's, for tests of all of them: a new callback joins here."""

import keras
import mlflow_stand_in
import numpy as np
import wandb_stand_in

from fitwatch import callbacks


def mlflow_logger(cls=callbacks.MLflowLogger):
    mlflow_stand_in.install()
    return cls()


# Makes one of each, with its files in a folder (a `pathlib.Path`).
MAKERS = {
    "BackupAndRestore": lambda folder: callbacks.BackupAndRestore(str(folder / "backup")),
    "BlockLogger": lambda folder: callbacks.BlockLogger(print),
    "CSVLogger": lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    "EarlyStopping": lambda folder: callbacks.EarlyStopping("loss"),
    "GradientMonitor": lambda folder: callbacks.GradientMonitor(),
    "History": lambda folder: callbacks.History(),
    "LearningRateMonitor": lambda folder: callbacks.LearningRateMonitor(),
    "LearningRateScheduler": lambda folder: callbacks.LearningRateScheduler(lambda e, lr: lr),
    "LossHistory": lambda folder: callbacks.LossHistory(),
    "MLflowLogger": lambda folder: mlflow_logger(),
    "MemoryMonitor": lambda folder: callbacks.MemoryMonitor(),
    "ModelCheckpoint": lambda folder: callbacks.ModelCheckpoint(folder / "model.keras"),
    "ProgbarLogger": lambda folder: callbacks.ProgbarLogger(),
    "ReduceLROnPlateau": lambda folder: callbacks.ReduceLROnPlateau("loss"),
    "SpikeDetection": lambda folder: callbacks.SpikeDetection(),
    "TensorBoard": lambda folder: callbacks.TensorBoard(folder / "logs"),
    "TerminateOnNaN": lambda folder: callbacks.TerminateOnNaN(),
    "ThroughputMonitor": lambda folder: callbacks.ThroughputMonitor(),
    "Validation": lambda folder: callbacks.Validation(
        validation_data=(np.ones((2, 4)), np.zeros((2,), "int32")), name="test"
    ),
    "WandbLogger": lambda folder: callbacks.WandbLogger(wandb_stand_in.Run()),
}

# Those that Keras does not have.
ALONE = {name for name in callbacks.__all__ if not hasattr(keras.callbacks, name)}
