"""`--resume-dir` with two processes: one writes the backups, and deletes them."""

import time
from pathlib import Path

import keras
import pytest
from ranks import BACKEND, digits, digits_model, errors_of, together

import fitwatch
from fitwatch._cli.resume_dir import ResumeDir

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="one process on TensorFlow")


def script(rank, folder, fails):
    """The epochs that are trained now, and all of them; rank 1 ends first."""
    trained = []

    def end(epoch, logs):
        if fails and (rank, epoch) == (1, 1):
            raise InterruptedError("in one process")
        trained.append(epoch)

    noting = keras.callbacks.LambdaCallback(on_epoch_end=end)
    train, _ = digits(rank, count=64)
    ended = Path(f"{folder}-ended")
    with fitwatch.enabled(), ResumeDir(folder, 0.0).used():
        history = digits_model().fit(*train, epochs=3, verbose=0, callbacks=[noting])
        while rank == 0 and not ended.exists():
            time.sleep(0.01)
        assert Path(folder, "1", "fit.json").exists()
    ended.touch()
    return trained, history.epoch


def test_what_one_process_interrupts_goes_on_in_both(tmp_path):
    folder = str(tmp_path / "backups")
    first, second = errors_of(script, folder, True)
    assert first.startswith("ProcessError: rank 1 has left the training: InterruptedError")
    assert second == "InterruptedError: in one process"
    assert together(script, folder, False) == [([1, 2], [0, 1, 2])] * 2
    assert not Path(folder).exists()
