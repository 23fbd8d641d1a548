"""Real data, one long epoch: batch monitors decide as a replay of the losses does."""

import re

import keras
import numpy as np
import pytest
import replay
from batch_losses import BACKEND
from sklearn.datasets import load_digits

from fitwatch.callbacks import CallbackList, EarlyStopping, LossHistory, ReduceLROnPlateau

STEPS = [1] if BACKEND == "torch" else [1, 16]
STOPPING = {"patience": 60, "halflife": 20, "min_delta": 0.01, "min_delta_mode": "rel"}
PLATEAU = {"patience": 25, "cooldown": 10, "halflife": 20, "min_delta": 0.02}


@pytest.mark.parametrize("max_lag", [0, None])
@pytest.mark.parametrize("steps", STEPS)
def test_digits(steps, max_lag, capsys):
    x, y = load_digits(return_X_y=True)
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, steps_per_execution=steps)
    history = LossHistory()
    stopping = EarlyStopping(
        "loss", unit="batch", restore_best_weights=False, verbose=1, **STOPPING
    )
    plateau = ReduceLROnPlateau("loss", unit="batch", factor=0.5, verbose=1, **PLATEAU)
    callbacks = CallbackList(
        [history, stopping, plateau], add_history=True, model=model, max_lag=max_lag
    )
    model.fit(x / 16, y, batch_size=4, verbose=0, shuffle=False, callbacks=callbacks)
    losses = history.losses
    # The decisions are those of the replay, whenever they came.
    stopped = replay.stopped_at(losses, patience=60, halflife=20, min_delta=0.01, relative=True)
    assert stopping.stopped_batch == stopped is not None
    expected = replay.reduced_at(losses, patience=25, cooldown=10, halflife=20, min_delta=0.02)
    assert plateau.reductions == expected
    assert len(expected) >= 2
    assert plateau.reductions[0] < stopped < 449
    # The call that decided is the last one, or it came as late as is allowed.
    late = 0 if max_lag == 0 or BACKEND != "jax" else 16
    assert stopped + 1 <= len(losses) <= stopped + 1 + max(steps - 1, late)
    assert np.isclose(
        float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        0.02 * 0.5 ** len(expected),
    )
    said = capsys.readouterr().out
    assert f"Epoch 1, batch {stopped + 1}: early stopping, loss has not improved" in said
    named = [int(n) - 1 for n in re.findall(r"batch (\d+): ReduceLROnPlateau", said)]
    assert named == expected
