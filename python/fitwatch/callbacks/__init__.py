"""Drop-in replacements for `keras.callbacks`, over a compiled core.

To use them, replace `from keras import callbacks` by `from fitwatch import callbacks`. Callbacks
that work on batches or track numbers are fitwatch's own, each a subclass of Keras's class.
BlockLogger, GradientMonitor, LearningRateMonitor, LossHistory, MLflowLogger, MemoryMonitor,
SpikeDetection, ThroughputMonitor, Validation and WandbLogger are new. LambdaCallback,
OrbaxCheckpoint, RemoteMonitor and SwapEMAWeights are Keras's.
"""

from contextlib import suppress as _suppress

from keras.callbacks import Callback, LambdaCallback, RemoteMonitor, SwapEMAWeights

from fitwatch import _moved as _moved
from fitwatch._enable.after_import import run_postponed as _run_postponed
from fitwatch.callbacks.backup_and_restore import BackupAndRestore
from fitwatch.callbacks.block_logger import BlockLogger
from fitwatch.callbacks.callback_list import CallbackList
from fitwatch.callbacks.csv_logger import CSVLogger
from fitwatch.callbacks.early_stopping import EarlyStopping
from fitwatch.callbacks.gradient_monitor import GradientMonitor
from fitwatch.callbacks.history import History
from fitwatch.callbacks.learning_rate_monitor import LearningRateMonitor
from fitwatch.callbacks.learning_rate_scheduler import LearningRateScheduler
from fitwatch.callbacks.loss_history import LossHistory
from fitwatch.callbacks.memory_monitor import MemoryMonitor
from fitwatch.callbacks.mlflow_logger import MLflowLogger
from fitwatch.callbacks.model_checkpoint import ModelCheckpoint
from fitwatch.callbacks.progbar_logger import ProgbarLogger
from fitwatch.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from fitwatch.callbacks.spike_detection import SpikeDetection
from fitwatch.callbacks.tensorboard import TensorBoard
from fitwatch.callbacks.terminate_on_nan import TerminateOnNaN
from fitwatch.callbacks.throughput_monitor import ThroughputMonitor
from fitwatch.callbacks.validation import Validation
from fitwatch.callbacks.wandb_logger import WandbLogger

__all__ = [
    "BackupAndRestore",
    "BlockLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "GradientMonitor",
    "History",
    "LambdaCallback",
    "LearningRateMonitor",
    "LearningRateScheduler",
    "LossHistory",
    "MLflowLogger",
    "MemoryMonitor",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SpikeDetection",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "ThroughputMonitor",
    "Validation",
    "WandbLogger",
]

with _suppress(ImportError):  # new in Keras 3.14
    from keras.callbacks import OrbaxCheckpoint

    __all__ += ["OrbaxCheckpoint"]

_run_postponed()
