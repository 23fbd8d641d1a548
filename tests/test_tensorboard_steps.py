"""`continue_steps`: steps continue from one `fit()` to the next."""

import json

import keras
import numpy as np
import pytest
from event_reader import read, steps

from fitwatch.callbacks import TensorBoard


def fit(model, data, board, epochs=2, **options):
    options = {"batch_size": 20, "verbose": 0, "validation_data": data, **options}
    model.fit(*data, epochs=epochs, callbacks=[board], **options)


@pytest.mark.parametrize("continue_steps", [False, True])
def test_a_second_fit(make_model, data, tmp_path, continue_steps):
    board = TensorBoard(
        tmp_path, update_freq="batch", histogram_freq=2, continue_steps=continue_steps
    )
    model = make_model()
    for _ in range(2):
        fit(model, data, board, epochs=3)
    again = not continue_steps
    files = list((tmp_path / "train").iterdir())
    assert len(files) == 2  # nothing is appended to an old one
    expected = [1, 2, 3, 4, 5, 6, 7, 8, 9] + [1, 2, 3, 4, 5, 6, 7, 8, 9] * again
    expected += [] if again else list(range(10, 19))
    assert steps(tmp_path / "train", "batch_loss") == expected
    expected = [0, 1, 2, 0, 1, 2] if again else [0, 1, 2, 3, 4, 5]
    assert steps(tmp_path / "train", "epoch_loss") == expected
    assert steps(tmp_path / "validation", "epoch_loss") == expected
    assert steps(tmp_path / "validation", "evaluation_loss_vs_iterations") == [3, 6, 9, 12, 15, 18]
    kernel = next(tag for tag in read(tmp_path / "train") if tag.endswith("kernel/histogram"))
    assert steps(tmp_path / "train", kernel) == ([0, 2, 0, 2] if again else [0, 2, 4])


def test_an_initial_epoch_is_not_added_to(make_model, data, tmp_path):
    board = TensorBoard(tmp_path, continue_steps=True)
    model = make_model()
    fit(model, data, board)
    fit(model, data, board, initial_epoch=2, epochs=4)
    fit(model, data, board, initial_epoch=1, epochs=3)
    fit(model, data, board, initial_epoch=10, epochs=11)
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1, 2, 3, 4, 5, 10]


def test_another_process_goes_on_where_the_model_is(make_model, data, tmp_path):
    model = make_model()
    fit(model, data, TensorBoard(tmp_path / "a", update_freq="batch"))
    model.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    board = TensorBoard(tmp_path / "b", update_freq="batch", continue_steps=True)
    fit(resumed, data, board, initial_epoch=2, epochs=3)
    assert steps(tmp_path / "b" / "train", "batch_loss") == [7, 8, 9]
    assert steps(tmp_path / "b" / "train", "epoch_loss") == [2]


def test_a_loaded_state_goes_on(make_model, data, tmp_path):
    first = TensorBoard(tmp_path / "a", update_freq="batch", continue_steps=True)
    fit(make_model(), data, first)
    second = TensorBoard(tmp_path / "b", update_freq="batch", continue_steps=True)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    fit(make_model(), data, second, epochs=1)
    assert steps(tmp_path / "b" / "train", "batch_loss") == [7, 8, 9]
    assert steps(tmp_path / "b" / "train", "epoch_loss") == [2]


def test_a_model_without_an_optimizer_to_count(tmp_path):
    board = TensorBoard(tmp_path, continue_steps=True, write_graph=False)
    board.set_model(keras.Sequential())
    board.on_train_begin()
    board.on_epoch_begin(0)
    board.on_epoch_end(0, {"loss": np.float32(1)})
    board.on_train_end()
    assert steps(tmp_path / "train", "epoch_loss") == [0]


@pytest.mark.parametrize("first", ["board", "backup"])
def test_after_a_restart_with_a_backup(make_model, data, tmp_path, first):
    def fit(epochs, fail):
        board = TensorBoard(tmp_path / "logs", update_freq="batch", continue_steps=True)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        pair = [board, backup] if first == "board" else [backup, board]
        fails = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: 1 / (fail - epoch)
        )
        make_model().fit(*data, epochs=epochs, batch_size=20, verbose=0, callbacks=[*pair, fails])

    with pytest.raises(ZeroDivisionError):
        fit(4, fail=2)
    fit(4, fail=9)
    assert steps(tmp_path / "logs" / "train", "batch_loss") == list(range(1, 13))
    assert steps(tmp_path / "logs" / "train", "epoch_loss") == [0, 1, 2, 3]


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras has one step only")
@pytest.mark.parametrize("loss", ["running", "batch"])
def test_several_steps_in_a_call(make_model, data, tmp_path, loss):
    options = {"update_freq": "batch", "continue_steps": True, "loss": loss, "write_graph": False}
    board = TensorBoard(tmp_path / "a", **options)
    model = make_model(steps_per_execution=2)
    for _ in range(2):
        fit(model, data, board, epochs=1, batch_size=15)
    fit(model, data, TensorBoard(tmp_path / "b", **options), epochs=1, batch_size=15)
    count = 2 if loss == "running" else 4
    assert steps(tmp_path / "a" / "train", "batch_loss") == list(range(1, 2 * count + 1))
    found = steps(tmp_path / "b" / "train", "batch_loss")
    assert found == list(range(2 * count + 1, 3 * count + 1))


def test_gradients_that_are_gathered(make_model, data, tmp_path):
    model = make_model(optimizer=keras.optimizers.SGD(gradient_accumulation_steps=3))
    for name in "ab":
        board = TensorBoard(tmp_path / name, update_freq="batch", continue_steps=True)
        fit(model, data, board)
    assert steps(tmp_path / "b" / "train", "batch_loss") == [7, 8, 9, 10, 11, 12]
