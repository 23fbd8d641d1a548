"""The cost of one call of each hook, compared with the same hook of stock Keras.

Hooks are called directly, with Python floats, as `fit()` passes them. ModelCheckpoint decides but
never saves. The asserted ratio is generous; the strict guard is in tests/cost.
"""

import keras
import pytest
from full_set import ListOfLosses, rows_of_batches

from fitwatch import callbacks

BATCH_LOGS = {"loss": 0.5, "mae": 0.4}
EPOCH_LOGS = {**BATCH_LOGS, "val_loss": 0.6, "val_mae": 0.5}


def early_stopping(module, folder):
    return module.EarlyStopping(patience=10**9)


def reduce_lr(module, folder):
    return module.ReduceLROnPlateau(patience=10**9)


def checkpoint(module, folder):
    never = float("-inf")
    return module.ModelCheckpoint("x.keras", save_best_only=True, initial_value_threshold=never)


def checkpoint_by_batch(module, folder):
    return module.ModelCheckpoint("x.keras", save_freq=10**9)


def tensorboard(module, folder):
    return module.TensorBoard(folder / module.__name__, write_graph=False)


def tensorboard_by_batch(module, folder):
    return module.TensorBoard(folder / module.__name__, write_graph=False, update_freq="batch")


def loss_history(module, folder):
    return callbacks.LossHistory() if module is callbacks else ListOfLosses()


def epoch_ends(callback):
    for epoch in range(20):
        callback.on_epoch_end(epoch, EPOCH_LOGS)


def batches(callback):
    for batch in range(500):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch, BATCH_LOGS)


def csv_logger(module, folder):
    return module.CSVLogger(folder / f"{module.__name__}.csv")


def csv_rows(module, folder):
    return rows_of_batches(module, folder)[0]


def history(module, folder):
    return module.History()


def learning_rate(module, folder):
    return module.LearningRateScheduler(lambda epoch, rate: rate)


def epoch_begins(callback):
    for epoch in range(20):
        callback.on_epoch_begin(epoch)


CASES = [
    pytest.param(early_stopping, epoch_ends, 0.5, id="EarlyStopping, epoch end"),
    pytest.param(reduce_lr, epoch_ends, 0.7, id="ReduceLROnPlateau, epoch end"),
    pytest.param(checkpoint, epoch_ends, 0.5, id="ModelCheckpoint, epoch end, no save"),
    pytest.param(checkpoint_by_batch, batches, 2.0, id="ModelCheckpoint(save_freq=int), batch"),
    pytest.param(tensorboard, epoch_ends, 0.5, id="TensorBoard, epoch end"),
    pytest.param(tensorboard, batches, 0.1, id="TensorBoard, batch"),
    pytest.param(tensorboard_by_batch, batches, 0.1, id='TensorBoard(update_freq="batch"), batch'),
    pytest.param(csv_logger, epoch_ends, 2.0, id="CSVLogger, epoch end"),
    # Called directly, ours flushes each row to the operating system, but not in a compiled list.
    pytest.param(csv_rows, batches, 10.0, id='CSVLogger(update_freq="batch") (stock: csv), batch'),
    pytest.param(history, epoch_ends, 2.0, id="History, epoch end"),
    pytest.param(learning_rate, epoch_begins, 2.0, id="LearningRateScheduler, epoch begin"),
    # Theirs keeps the object that it was given; ours reads its value.
    pytest.param(loss_history, batches, 10.0, id="LossHistory (stock: a list), batch"),
]


@pytest.mark.parametrize(("make", "drive", "at_most"), CASES)
def test_hook(make, drive, at_most, beside_keras, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    pair = [make(module, tmp_path) for module in (callbacks, keras.callbacks)]
    for callback in pair:
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    calls = 500 if drive is batches else 20
    ratio = beside_keras(lambda: drive(pair[0]), lambda: drive(pair[1]), calls, "hook")
    for callback in reversed(pair):
        callback.on_train_end()
    assert ratio < at_most
