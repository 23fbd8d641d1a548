"""Health monitors in two processes: the same columns, one decision, samples of both."""

import csv

import numpy as np
import pytest
from ranks import BACKEND, fit, together

from fitwatch import callbacks

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


def watched(rank, folder, enabled):
    history = callbacks.LossHistory(columns="all")
    guard = callbacks.EarlyStopping("grad_norm", unit="batch", patience=20, min_delta=1e6)
    own = [
        callbacks.GradientMonitor(update_ratio=True),
        callbacks.LearningRateMonitor(),
        callbacks.ThroughputMonitor(window=4),
        callbacks.MemoryMonitor(every=3),
        history,
        callbacks.CSVLogger(f"{folder}/log.csv", update_freq="batch"),
        guard,
    ]
    result = fit(rank, own, enabled=enabled)
    names = ("grad_norm", "update_ratio", "samples_per_second", "batches_per_second", "memory_rss")
    columns = {name: history.column(name).tolist() for name in names}
    return result | {
        "columns": columns,
        "reason": guard.stop_reason,
        "stopped": guard.stopped_batch,
    }


@pytest.mark.parametrize("enabled", [True, False], ids=["compiled", "stock list"])
def test_columns_and_a_decision_by_one(tmp_path, enabled):
    first, second = together(watched, str(tmp_path), enabled)
    for same in ("batches", "weights", "reason", "stopped"):
        assert first[same] == second[same], same
    # The first is the best of 21 batches. They agree after every fifth, and when an epoch ends.
    assert len(first["batches"]) == 24
    norms = [np.array(one["columns"]["grad_norm"]) for one in (first, second)]
    assert (norms[0] > 0).all()
    assert len(norms[0]) == len(first["batches"])
    if BACKEND == "jax":
        np.testing.assert_array_equal(*norms)
    for one in (first, second):
        columns = {name: np.array(values) for name, values in one["columns"].items()}
        per_batch = columns["samples_per_second"] / columns["batches_per_second"]
        assert per_batch == pytest.approx(64)
        assert np.isfinite(columns["memory_rss"]).sum() == 24 // 3
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    written = [float(row["grad_norm"]) for row in rows if row["batch"] != "NA"]
    np.testing.assert_allclose(written, norms[0], rtol=1e-6)
