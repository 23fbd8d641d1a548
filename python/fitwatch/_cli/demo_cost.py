"""The cost of monitoring: the hooks of the demo's callbacks, of fitwatch and of stock Keras."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras

from fitwatch import callbacks

BATCHES = 200
ROUNDS = 15


class Microseconds(NamedTuple):
    """The times of the same work with fitwatch and with stock Keras."""

    ours: float
    stock: float


@dataclass(frozen=True)
class Cost:
    """Time in the hooks of the callback list, in microseconds."""

    batch: Microseconds
    epoch: Microseconds
    with_tensorboard: bool


class _StockLossHistory(keras.callbacks.Callback):  # type: ignore[misc]
    """The usual hand-written callback, since Keras has none."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


def measure(model: Any) -> Cost:
    """Calls the hooks as `fit()` does, without training, in turn for both; returns medians.

    Both use their own callback list, as `fit()` does with and without `fitwatch.enable()`. Nothing
    is saved or plotted, since that costs the same with and without fitwatch.
    """
    with_tensorboard = find_spec("tensorflow") is not None
    batch: tuple[list[float], list[float]] = ([], [])
    epoch: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for which, (module, losses) in enumerate(
                ((callbacks, callbacks.LossHistory), (keras.callbacks, _StockLossHistory))
            ):
                watching = _set(module, losses, folder, with_tensorboard)
                per_batch, per_epoch = _second_epoch(module.CallbackList(watching, model=model))
                batch[which].append(per_batch)
                epoch[which].append(per_epoch)
    return Cost(
        batch=Microseconds(*map(statistics.median, batch)),
        epoch=Microseconds(*map(statistics.median, epoch)),
        with_tensorboard=with_tensorboard,
    )


def _set(module: Any, loss_history: Any, folder: str, with_tensorboard: bool) -> list[Any]:
    never = float("-inf")
    path = Path(folder) / "never_saved.keras"
    watching = [
        module.ModelCheckpoint(path, save_best_only=True, initial_value_threshold=never),
        module.EarlyStopping(patience=10**9),
        module.ReduceLROnPlateau(patience=10**9),
        loss_history(),
    ]
    if with_tensorboard:
        logs = tempfile.mkdtemp(dir=folder)
        watching.append(module.TensorBoard(logs, write_graph=False))
    return watching


def _second_epoch(hooks: Any) -> tuple[float, float]:
    """Microseconds per batch and for the end of the epoch; the first epoch is a warm-up."""
    one = keras.ops.convert_to_tensor(1.0)
    values = dict.fromkeys(("accuracy", "loss", "val_accuracy", "val_loss"), 0.5)
    hooks.on_train_begin()
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        # New scalars, as a train step returns them.
        logs = [{"accuracy": one * 0.5, "loss": one * 0.4} for _ in range(BATCHES)]
        begin = time.perf_counter()
        for batch in range(BATCHES):
            hooks.on_train_batch_begin(batch)
            hooks.on_train_batch_end(batch, logs[batch])
        middle = time.perf_counter()
        hooks.on_epoch_end(epoch, values)
        end = time.perf_counter()
    hooks.on_train_end()
    return (middle - begin) / BATCHES * 1e6, (end - middle) * 1e6
