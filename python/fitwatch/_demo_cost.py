"""What monitoring costs: the hooks of the demo's callbacks, fitwatch's and stock Keras's."""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras

from fitwatch import callbacks

BATCHES = 200
ROUNDS = 15


class Microseconds(NamedTuple):
    """The same thing done by fitwatch and by stock Keras."""

    ours: float
    stock: float


@dataclass(frozen=True)
class Cost:
    """What all callbacks together add, in microseconds."""

    batch: Microseconds
    epoch: Microseconds
    with_tensorboard: bool


class _StockLossHistory(keras.callbacks.Callback):  # type: ignore[misc]
    """What people write by hand, since Keras has none."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


class _Nothing(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback that costs what any callback costs before it does anything."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def measure(model: Any) -> Cost:
    """Calls the hooks as `fit()` does, without training, for both in turn; medians.

    The cost of a callback list that does nothing is taken off. A checkpoint is decided on but not
    saved, and nothing is plotted: both cost the same with and without fitwatch.
    """
    with_tensorboard = find_spec("tensorflow") is not None
    with tempfile.TemporaryDirectory() as folder:
        makers: dict[str, Callable[[], list[Any]]] = {
            "nothing": lambda: [_Nothing()],
            "ours": lambda: _set(callbacks, callbacks.LossHistory, folder, with_tensorboard),
            "stock": lambda: _set(keras.callbacks, _StockLossHistory, folder, with_tensorboard),
        }
        batch: dict[str, list[float]] = {name: [] for name in makers}
        epoch: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(ROUNDS):
            for name, make in makers.items():
                hooks = keras.callbacks.CallbackList(make(), model=model)
                per_batch, per_epoch = _second_epoch(hooks)
                batch[name].append(per_batch)
                epoch[name].append(per_epoch)
    return Cost(_added(batch), _added(epoch), with_tensorboard)


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
    """Microseconds per batch, and for the end of the epoch; the first epoch sets things up."""
    scalar = keras.ops.convert_to_tensor(0.5)
    values = dict.fromkeys(("accuracy", "loss", "val_accuracy", "val_loss"), 0.5)
    hooks.on_train_begin()
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        begin = time.perf_counter()
        for batch in range(BATCHES):
            hooks.on_train_batch_begin(batch)
            hooks.on_train_batch_end(batch, {"accuracy": scalar, "loss": scalar})
        middle = time.perf_counter()
        hooks.on_epoch_end(epoch, values)
        end = time.perf_counter()
    hooks.on_train_end()
    return (middle - begin) / BATCHES * 1e6, (end - middle) * 1e6


def _added(times: dict[str, list[float]]) -> Microseconds:
    floor = statistics.median(times["nothing"])
    added = {name: max(statistics.median(times[name]) - floor, 0.0) for name in ("ours", "stock")}
    return Microseconds(**added)
