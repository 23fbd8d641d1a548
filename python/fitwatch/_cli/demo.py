"""The demo: trains on real handwritten digits, with all monitors on."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fitwatch
from fitwatch import callbacks
from fitwatch._cli import demo_cost

MIN_DELTA = 0.001
PATIENCE = 6


def run(out: str | None, epochs: int, seed: int) -> int:
    """Trains, writes everything into the folder `out`, and prints a summary."""
    folder = Path(out or time.strftime("runs/demo-%Y%m%d-%H%M%S"))
    keras.utils.set_random_seed(seed)
    images, digits = load_digits(return_X_y=True)
    x, x_held_out, y, y_held_out = train_test_split(
        images / 16, digits, test_size=0.2, stratify=digits, random_state=seed
    )
    backend = keras.config.backend()
    print(
        f"fitwatch demo: {len(digits):,} handwritten digits, Keras {keras.__version__}, {backend}"
    )
    print(f"{len(x):,} for training and validation, {len(x_held_out):,} held out\n")

    model = _classifier()
    watching = _monitors(folder)
    with fitwatch.enabled():
        history = model.fit(
            x, y, batch_size=32, epochs=epochs, validation_split=0.2, verbose=2, callbacks=watching
        )
    _, accuracy = model.evaluate(x_held_out, y_held_out, verbose=0)
    cost = demo_cost.measure(model)
    _report(folder, watching, history, epochs, accuracy, len(x_held_out), cost)
    return 0


def _classifier() -> Any:
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(5e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _monitors(folder: Path) -> list[Any]:
    template = Path(str(folder).replace("{", "{{").replace("}", "}}"))
    return [
        callbacks.ModelCheckpoint(template / "best.keras", save_best_only=True),
        callbacks.EarlyStopping(min_delta=MIN_DELTA, patience=PATIENCE, restore_best_weights=True),
        callbacks.ReduceLROnPlateau(factor=0.5, patience=3, min_delta=MIN_DELTA),
        callbacks.TensorBoard(
            folder / "logs",
            histogram_freq=1,
            write_images=True,
            update_freq="batch",
            loss="batch",
            write_events=True,
        ),
        callbacks.LossHistory(template / "plots" / "plot_at_epoch_{epoch}.png"),
    ]


def _report(
    folder: Path,
    watching: list[Any],
    history: Any,
    epochs: int,
    accuracy: float,
    held_out: int,
    cost: demo_cost.Cost,
) -> None:
    _, stopper, _, _, losses = watching
    run = len(history.epoch)
    why = "all of them"
    if stopper.stopped_epoch:
        why = f"stopped: val_loss had not improved by {MIN_DELTA} in {PATIENCE} epochs"
    events = sorted((folder / "logs").rglob("*tfevents*"))
    rows = [
        ("epochs run", f"{run} of {epochs} ({why})"),
        ("best epoch", f"{stopper.best_epoch + 1}, val_loss {stopper.best:.4f}"),
        ("learning rates", _rates(history.history["learning_rate"])),
        ("held-out digits", f"{accuracy:.1%} of {held_out} right, with the best weights restored"),
        ("", ""),
        ("best model", str(folder / "best.keras")),
        *(("event file" if not i else "", str(path)) for i, path in enumerate(events)),
        ("plots", f"{losses.plot.format(epoch=0)} to ..._{run - 1}.png"),
        ("", ""),
        ("monitoring costs", "fitwatch   stock Keras   (time in the hooks of these callbacks)"),
        ("  per batch", f"{cost.batch.ours:5.1f} µs   {cost.batch.stock:8.1f} µs"),
        ("  per epoch end", f"{cost.epoch.ours:5.0f} µs   {cost.epoch.stock:8.0f} µs"),
    ]
    if not cost.with_tensorboard:
        rows.append(("", "(without TensorBoard: stock Keras needs TensorFlow for it)"))
    width = max(len(name) for name, _ in rows) + 2
    print()
    for name, text in rows:
        print(f"{name:<{width}}{text}".rstrip())
    tensorboard = os.path.relpath(Path(sys.executable).with_name("tensorboard"))
    python = os.path.relpath(sys.executable)
    print(f"\nTo look at every batch: {python} -m fitwatch view {folder / 'logs'}")
    print(f"In TensorBoard:         {tensorboard} --logdir {folder / 'logs'}")


def _rates(rates: list[float]) -> str:
    """Each rate with the first epoch (from 1) that used it."""
    changes = [(i, r) for i, r in enumerate(rates) if i == 0 or r != rates[i - 1]]
    return ", ".join(f"{rate:.3g}" + (f" from epoch {i + 1}" if i else "") for i, rate in changes)
