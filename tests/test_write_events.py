"""TensorBoard(write_events=True): what happens in a training, as texts in the event file."""

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


def model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.125), "mse")
    return model


def events(folder):
    """`{kind: [(step, text), ...]}` of the training run."""
    texts = fitwatch.read(folder)["train"].text
    return {
        tag.removeprefix("fitwatch/"): [(text.step, *text.lines) for text in found]
        for tag, found in texts.items()
    }


@pytest.mark.parametrize(("update_freq", "per_epoch"), [("epoch", 1), (1, 4)])
def test_what_happens(tmp_path, update_freq, per_epoch):
    board = callbacks.TensorBoard(tmp_path / "logs", update_freq=update_freq, write_events=True)
    watching = [
        callbacks.ModelCheckpoint(str(tmp_path / "best.weights.h5"), save_weights_only=True),
        callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1e9, factor=0.5),
        callbacks.EarlyStopping("loss", patience=2, min_delta=1e9),
    ]
    # Events of callbacks behind it in the list are written too.
    model().fit(
        X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[*watching[:1], board, *watching[1:]]
    )
    at = [epoch if per_epoch == 1 else (epoch + 1) * per_epoch for epoch in range(3)]
    assert events(tmp_path / "logs") == {
        "epoch": [(at[epoch], f"end of epoch {epoch}") for epoch in range(3)],
        "checkpoint": [(step, str(tmp_path / "best.weights.h5")) for step in at],
        "rate_reduction": [
            (at[1], "learning rate 0.125 to 0.0625"),
            (at[2], "learning rate 0.0625 to 0.03125"),
        ],
        "stop": [(at[2], "EarlyStopping: loss has not improved for 2 epochs")],
    }


def test_decisions_inside_an_epoch(tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq=1, write_events=True)
    nan = callbacks.TerminateOnNaN()
    with fitwatch.enabled(max_lag=0):
        model().fit(X, Y * np.nan, batch_size=2, verbose=0, callbacks=[board, nan])
    assert events(tmp_path)["stop"] == [(1, "TerminateOnNaN: invalid loss at batch 0")]


def test_a_resume(tmp_path):
    def fit(epochs):
        board = callbacks.TensorBoard(tmp_path / "logs", update_freq=1, write_events=True)
        backup = callbacks.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False)
        model().fit(X, Y, batch_size=2, epochs=epochs, verbose=0, callbacks=[board, backup])

    fit(1)
    fit(2)
    assert events(tmp_path / "logs")["resume"] == [(4, "epoch 1, after 0 batches of it")]


def test_off_by_default(tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq=1)
    model().fit(X, Y, batch_size=2, verbose=0, callbacks=[board])
    assert fitwatch.read(tmp_path)["train"].text == {}


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="needs TensorFlow")
def test_with_a_tool_that_listens(tmp_path, monkeypatch):
    from tensorflow.python.ops import gen_summary_ops

    original = gen_summary_ops.write_summary
    monkeypatch.setattr(gen_summary_ops, "write_summary", lambda *a, **k: original(*a, **k))
    board = callbacks.TensorBoard(tmp_path, update_freq=1, write_events=True)
    model().fit(X, Y, batch_size=2, verbose=0, callbacks=[board])
    assert events(tmp_path) == {"epoch": [(4, "end of epoch 0")]}
