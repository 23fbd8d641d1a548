"""Runs Keras's own tests of its callbacks, out of the installed package, on fitwatch's classes.

Usage: KERAS_BACKEND=tensorflow python tests/keras_own.py [pytest arguments]
"""

import importlib.util
import sys
from collections.abc import Iterable
from functools import partial

import keras
import pytest
from keras.src import callbacks as theirs

from fitwatch import _core
from fitwatch import callbacks as ours
from fitwatch._monitors.metric import Monitor, MonitorAttachment

REPLACED = [name for name in ours.__all__ if hasattr(theirs, name)]
FILES = [
    "backup_and_restore_test",
    "callback_test",
    "csv_logger_test",
    "early_stopping_test",
    "lambda_callback_test",
    "learning_rate_scheduler_test",
    "model_checkpoint_test",
    "monitor_callback_test",
    "reduce_lr_on_plateau_test",
    "swap_ema_weights_test",
    "tensorboard_test",
    "terminate_on_nan_test",
]


class MonitorCallback(Monitor, theirs.MonitorCallback):
    """The shared part alone, as Keras tests it; any policy of the core will do."""

    _fitwatch_type = partial(MonitorAttachment, _core.EarlyStopping())


class Plugin:
    """The part of the conftest in Keras's repository that the tests need; the package lacks it."""

    def pytest_configure(self, config):
        config.addinivalue_line("markers", "requires_trainable_backend: needs a real backend")
        config.addinivalue_line("markers", "multi_device: needs several devices")


def run(paths: Iterable[str], arguments: list[str], plugin: Plugin) -> int:
    """Runs files of Keras's tests.

    Args:
        paths: The files.
        arguments: More arguments for pytest.
        plugin: What stands for the conftest.

    Returns:
        The exit status.
    """
    print(f"Keras {keras.__version__} on {keras.config.backend()}: its own tests, on our classes")
    options = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    return pytest.main([*options, *paths, *arguments], plugins=[plugin])


def main() -> int:
    for name in REPLACED:
        setattr(theirs, name, getattr(ours, name))
    theirs.MonitorCallback = MonitorCallback
    paths = [importlib.util.find_spec(f"keras.src.callbacks.{name}").origin for name in FILES]
    return run(paths, sys.argv[1:], Plugin())


if __name__ == "__main__":
    sys.exit(main())
