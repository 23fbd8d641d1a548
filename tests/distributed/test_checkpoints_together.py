"""Checkpoints of two processes: rank 0 writes, and all ranks have the same best value."""

import numpy as np
import pytest
from ranks import BACKEND, files_in, fit, together

from fitwatch import callbacks

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")

NAMES = ["counted", "timed", "timed-epochs", "training"]


def checkpoints(rank, folder, enabled, validation_freq):
    """Twelve batches an epoch; the values of the validation are rank 0's, or their mean."""

    def saver(name, **options):
        return callbacks.ModelCheckpoint(
            f"{folder}/{name}/best.weights.h5",
            save_best_only=True,
            save_weights_only=True,
            save_last=True,
            initial_value_threshold="file",
            **options,
        )

    made = [
        saver("counted", save_freq=5),
        saver("timed", save_interval_seconds=1e-9 if rank == 0 else 3600),
        saver("timed-epochs", save_interval_seconds=3600, save_interval_epochs=2),
        saver("training", monitor="loss", save_freq=5),
    ]
    result = fit(rank, made, enabled=enabled, epochs=4, validation_freq=validation_freq)
    return {**result, "best": [one.best for one in made]}


@pytest.mark.parametrize(("enabled", "validation_freq"), [(True, 2), (False, 1)])
def test_what_waits_for_the_validation(tmp_path, enabled, validation_freq):
    first, second = together(checkpoints, str(tmp_path), enabled, validation_freq)
    assert first["best"] == second["best"]
    values = np.mean([one["history"]["val_loss"] for one in (first, second)], axis=0)
    of_every_second = values[1::2] if validation_freq == 1 else values
    assert first["best"][:3] == [min(values), min(values), min(of_every_second)]
    expected = [f"{name}/{kind}.weights.h5" for name in NAMES for kind in ("best", "last")]
    assert files_in(tmp_path) == sorted(expected)
    before = [(tmp_path / name).read_bytes() for name in expected[::2]]
    # A new run begins with what rank 0 finds in the files, which the model is as good as at most.
    third, fourth = together(checkpoints, str(tmp_path), enabled, 5)
    assert third["best"][:3] == fourth["best"][:3] == first["best"][:3]
    assert [(tmp_path / name).read_bytes() for name in expected[::2]][:3] == before[:3]
