"""What one call of each hook costs, beside the same hook of stock Keras.

Hooks are called directly, with the Python floats that `fit()` hands over. A checkpoint is decided
on but never saved. The asserted ratio is generous: it catches a hook that has become twice as slow.
"""

import keras
import pytest
from full_set import ListOfLosses

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


CASES = [
    pytest.param(early_stopping, epoch_ends, 0.5, id="EarlyStopping, epoch end"),
    pytest.param(reduce_lr, epoch_ends, 0.7, id="ReduceLROnPlateau, epoch end"),
    pytest.param(checkpoint, epoch_ends, 0.5, id="ModelCheckpoint, epoch end, no save"),
    pytest.param(checkpoint_by_batch, batches, 2.0, id="ModelCheckpoint(save_freq=int), batch"),
    pytest.param(tensorboard, epoch_ends, 0.5, id="TensorBoard, epoch end"),
    pytest.param(tensorboard, batches, 0.1, id="TensorBoard, batch"),
    pytest.param(tensorboard_by_batch, batches, 0.1, id='TensorBoard(update_freq="batch"), batch'),
    pytest.param(loss_history, batches, 2.5, id="LossHistory (stock: a list), batch"),
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
    calls = 20 if drive is epoch_ends else 500
    ratio = beside_keras(lambda: drive(pair[0]), lambda: drive(pair[1]), calls)
    for callback in reversed(pair):
        callback.on_train_end()
    assert ratio < at_most
