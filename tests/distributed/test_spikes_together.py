"""Two processes, one of which has a damaged batch: both go back, together."""

from contextlib import nullcontext

import numpy as np
import pytest
from ranks import BACKEND, digits, digits_model, together, weights_of

import fitwatch
from fitwatch import callbacks, distributed

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")

BATCHES, SIZE, BAD = 144, 32, 100


def train(rank, enabled):
    distributed.configure(deadline=30.0, agree_every=5)
    (x, y), _ = digits(rank)
    x, y = np.tile(x, (12, 1)), np.tile(y, 12)
    if rank == 1:
        bad = slice(SIZE * BAD, SIZE * (BAD + 1))
        x[bad], y[bad] = 1000 * x[bad], (y[bad] + 1) % 10
    model = digits_model(0.05)
    detection = callbacks.SpikeDetection(
        action="rollback", warmup=20, snapshot_every=20, max_to_keep=3
    )
    with fitwatch.enabled() if enabled else nullcontext():
        model.fit(x, y, batch_size=SIZE, shuffle=False, verbose=0, callbacks=[detection])
    return {
        "spikes": detection.spikes,
        "rollbacks": detection._fitwatch.rollbacks,
        "weights": weights_of(model),
        "iterations": int(model.optimizer.iterations),
    }


@pytest.mark.parametrize("enabled", [True, False], ids=["compiled", "stock list"])
def test_both_go_back_after_the_same_batch(enabled):
    first, second = together(train, enabled)
    assert first == second
    assert first["spikes"][0]["batch"] == BAD
    assert {spike["action"] for spike in first["spikes"]} == {"rollback"}
    (after,) = first["rollbacks"]
    assert BAD < after <= BAD + 6
    assert first["iterations"] == BATCHES - (after - 80)
