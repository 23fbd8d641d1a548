"""Validation in two processes: after the same batch, and one decision by the values of both."""

import pytest
from ranks import BACKEND, fit, together

from fitwatch import callbacks

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


def validated(rank, folder, enabled):
    validation = callbacks.Validation(every=4)
    stopping = callbacks.EarlyStopping(
        "val_loss", unit="validation", patience=3, min_delta=0.15, restore_best_weights=True
    )
    plateau = callbacks.ReduceLROnPlateau(
        "val_loss", unit="validation", patience=1, min_delta=0.15, factor=0.5
    )
    best = callbacks.ModelCheckpoint(
        f"{folder}/best.weights.h5",
        save_weights_only=True,
        save_best_only=True,
        save_freq="validation",
    )
    result = fit(rank, [validation, stopping, plateau, best], enabled=enabled)
    counts = {"stopped": stopping.stopped_batch, "best": stopping.best, "saved": best.best}
    return result | {"validation": validation.history, **counts, "drops": plateau.reductions}


@pytest.mark.parametrize("enabled", [True, False], ids=["compiled", "stock list"])
def test_one_decision_by_the_values_of_both(tmp_path, enabled):
    first, second = together(validated, str(tmp_path), enabled)
    names = ("batches", "weights", "validation", "stopped", "best", "saved", "drops", "rate")
    for same in names:
        assert first[same] == second[same], same
    assert first["stopped"] in first["validation"]["batch"]
    assert first["drops"]
    assert first["saved"] == min(first["validation"]["val_loss"])
    # They end right after the validation that has decided, without another batch.
    assert len(first["batches"]) == first["stopped"] + 1
