"""CSVLogger and TensorBoard with the per-batch loss."""

import csv

import numpy as np
import pytest
from batch_losses import STEPS, dense, numbers
from event_reader import read

from fitwatch.callbacks import CallbackList, CSVLogger, LossHistory, TensorBoard

X, Y = numbers()


def fit(callbacks, steps, compiled, model=None):
    history = LossHistory()
    callbacks = [history, *callbacks]
    model = model or dense(steps_per_execution=steps)
    if compiled:
        callbacks = CallbackList(callbacks, add_history=True, model=model)
    model.fit(X, Y, batch_size=7, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return history.losses


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("every", ["batch", 4])
@pytest.mark.parametrize("steps", STEPS[:2])
def test_every_batch_has_its_row(tmp_path, steps, every, compiled):
    logger = CSVLogger(tmp_path / "log.csv", update_freq=every, loss="batch")
    losses = fit([logger], steps, compiled)
    every = 1 if every == "batch" else every
    rows = [row for row in table(tmp_path / "log.csv") if row["batch"] != "NA"]
    expected = [(epoch, batch) for epoch in range(2) for batch in range(every - 1, 15, every)]
    assert [(int(row["epoch"]), int(row["batch"])) for row in rows] == expected
    np.testing.assert_array_equal(
        np.array([row["loss"] for row in rows], dtype=np.float32),
        [losses[15 * epoch + batch] for epoch, batch in expected],
    )
    # The other metrics are known after the call: they are in its last row.
    last = {
        max(batch for _, batch in expected if batch // steps == call)
        for call in {batch // steps for _, batch in expected}
    }
    assert [row["mae"] != "NA" for row in rows] == [batch in last for _, batch in expected]
    assert len([row for row in table(tmp_path / "log.csv") if row["batch"] == "NA"]) == 2


def test_the_running_mean_is_the_default(tmp_path):
    losses = fit([CSVLogger(tmp_path / "log.csv", update_freq="batch")], 1, True)
    logged = [float(row["loss"]) for row in table(tmp_path / "log.csv")][:15]
    means = np.cumsum(losses[:14], dtype=np.float64) / np.arange(1, 15)
    np.testing.assert_allclose(logged[:14], means, rtol=1e-5)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "stock"])
@pytest.mark.parametrize("every", ["batch", 4])
@pytest.mark.parametrize("steps", STEPS[:2])
def test_every_batch_has_its_step(tmp_path, steps, every, compiled):
    board = TensorBoard(tmp_path, update_freq=every, write_graph=False, loss="batch")
    losses = fit([board], steps, compiled)
    every = 1 if every == "batch" else every
    found = {
        tag: [(step, value[0]) for step, value in points]
        for tag, (_, _, points) in read(tmp_path / "train").items()
        if tag.startswith("batch_")
    }
    steps_due = [step for step in range(1, 31) if step % every == 0]
    assert [step for step, _ in found["batch_loss"]] == steps_due
    np.testing.assert_array_equal(
        np.array([value for _, value in found["batch_loss"]], dtype=np.float32),
        losses[[step - 1 for step in steps_due]],
    )
    # One call has 8 batches, or the 7 that are left of an epoch.
    calls = [(step - 1) // 15 * 2 + (step - 1) % 15 // steps for step in steps_due]
    expected = (
        steps_due
        if steps == 1
        else [
            step
            for step, call, after in zip(steps_due, calls, [*calls[1:], -1], strict=True)
            if call != after
        ]
    )
    assert [step for step, _ in found["batch_mae"]] == expected
    assert board._global_train_batch == 30
