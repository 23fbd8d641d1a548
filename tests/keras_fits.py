"""Runs Keras's own tests that train, from the installed package, with fitwatch's callbacks on.

`fitwatch.enable()` is in force, so every `fit()`, `evaluate()` and `predict()` builds the compiled
list, and has callbacks besides those of the test, which change nothing: see `added()`.

Usage: KERAS_BACKEND=tensorflow python tests/keras_fits.py [--quick] [pytest arguments]

Every test of the files of trainers and models runs, and of all other files each test that calls
fit(). `--quick`, for a minute or so, runs those tests of trainers that call fit(), without the
modes "eager" and "non_jit" beside "jit", nor the combinations with `steps_per_epoch`, which take
half of the time.
"""

import functools
import importlib.util
import inspect
import itertools
import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":  # pytest looks for doctests in this file too
    # Read by JAX when it starts: its tests of distributions need several devices.
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import event_reader
import keras
import keras_own
from keras.callbacks import Callback, CallbackList

import fitwatch
from fitwatch import callbacks as ours

BACKEND = keras.config.backend()
SOURCE = Path(importlib.util.find_spec("keras.src").origin).parent
TRAINERS = ["trainers/trainer_test.py", f"backend/{BACKEND}/trainer_test.py"]
TRAINERS_AND_MODELS = [*TRAINERS, "models/*_test.py"]
SLOW = ("_eager", "_non_jit", "steps_per_epoch")
NOT_HERE = [
    "callbacks/*",  # keras_own.py runs them
    # They import torch on every backend.
    "trainers/data_adapters/tf_dataset_adapter_test.py",
    "utils/torch_utils_test.py",
    *(f"backend/{other}/*" for other in ("jax", "tensorflow", "torch") if other != BACKEND),
]
# Tests that have such a name in theirs need the package, and fail where it is not installed.
MISSING = [name for name in ("grain", "torch") if importlib.util.find_spec(name) is None]


def calls_fit(code: str) -> bool:
    return ".fit(" in code


def is_one_of(path: Path, patterns: list[str]) -> bool:
    return any(path.relative_to(SOURCE).match(pattern) for pattern in patterns)


class Reader(Callback):
    """Reads all logs, as a callback written in Python does, and counts those that have a loss."""

    def __init__(self):
        super().__init__()
        self.losses = 0

    def read(self, at, logs=None):
        dict(logs)

    on_epoch_end = on_test_batch_end = on_predict_batch_end = read

    def on_train_batch_end(self, batch, logs=None):
        self.losses += "loss" in dict(logs)


def added(folder: str) -> list[Callback]:
    """What a fit() has besides the callbacks of the test; see check() for what becomes of them."""
    return [
        ours.LossHistory(),
        # With mode="auto" it looks at the model once, in the first batch, and JAX copies the
        # variables into the model for that: a test sees to it that no callback does.
        ours.EarlyStopping("loss", mode="min", unit="batch", patience=10**9),
        ours.CSVLogger(f"{folder}/log.csv", update_freq="batch"),
        ours.TensorBoard(f"{folder}/events", update_freq="batch"),
        ours.TerminateOnNaN(),
        Reader(),
    ]


def check(history: Callback, more: list[Callback], folder: str):
    """A fit() had fitwatch's list, and those that were added have recorded its batches."""
    losses, *_, reader = more
    assert isinstance(history, ours.History)  # Keras's list makes one of Keras's
    assert reader.losses >= len(history.history.get("loss", ()))  # a batch an epoch, or more
    # Of several steps in one call it has each loss, and Keras's hooks are called once.
    assert len(losses.losses) >= reader.losses
    if reader.losses:
        header, *rows = Path(folder, "log.csv").read_text().splitlines()
        assert "loss" in header.split(",")
        assert len(rows) >= reader.losses
        assert len(event_reader.steps(f"{folder}/events/train", "batch_loss")) >= reader.losses


def with_more(method, folders):
    """The trainer's method, with more callbacks where it is not handed a list that is complete."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        own = bound.arguments.get("callbacks") or []
        if isinstance(own, CallbackList):
            return method(*args, **kwargs)
        folder = next(folders)
        more = added(folder) if method.__name__ == "fit" else [Reader()]
        own = own if isinstance(own, list | tuple) else [own]
        bound.arguments["callbacks"] = [*own, *more]
        result = method(*bound.args, **bound.kwargs)
        if method.__name__ == "fit":
            check(result, more, folder)
        return result

    return call


class Plugin(keras_own.Plugin):
    """Picks the tests."""

    def __init__(self, quick: bool):
        self.quick = quick

    def pytest_collection_modifyitems(self, config, items):
        wanted = {item: self.wanted(item) for item in items}
        config.hook.pytest_deselected(items=[item for item in items if not wanted[item]])
        items[:] = [item for item in items if wanted[item]]

    def wanted(self, item) -> bool:
        if any(name in item.name for name in MISSING):
            return False
        if self.quick and any(name in item.name for name in SLOW):
            return False
        whole = not self.quick and is_one_of(item.path, TRAINERS_AND_MODELS)
        return whole or calls_fit(inspect.getsource(item.function))


def main() -> int:
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    if quick:
        arguments.remove("--quick")
    patterns = TRAINERS if quick else ["**/*_test.py"]
    paths = sorted(
        path
        for pattern in patterns
        for path in SOURCE.glob(pattern)
        if not is_one_of(path, NOT_HERE)
        and (is_one_of(path, TRAINERS_AND_MODELS) or calls_fit(path.read_text()))
    )
    fitwatch.enable()
    with tempfile.TemporaryDirectory() as folder:
        folders = (f"{folder}/{number}" for number in itertools.count())
        for name in ("fit", "evaluate", "predict"):
            trainer = next(cls for cls in keras.Model.__mro__ if name in vars(cls))
            setattr(trainer, name, with_more(getattr(trainer, name), folders))
        return keras_own.run(map(str, paths), arguments, Plugin(quick))


if __name__ == "__main__":
    sys.exit(main())
