"""The CPU half of the check for a machine with a GPU: the script runs, and decides alike."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

SCRIPT = Path(__file__).parent.parent / "benches" / "gpu.py"


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="it is for JAX and torch")
def test_the_script_runs_on_the_cpu():
    environment = os.environ | {"FITWATCH_GPU_ROUNDS": "1"}
    done = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    table = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    waits = {row[1].strip(): float(row[4]) for row in table[1:] if row[4].strip()}
    # Stock Keras waits for the logs of every batch.
    assert waits["stock Keras, everything on"] >= 1
    assert waits["fitwatch, everything on"] < 0.1
    assert waits["fitwatch, as much as Keras can"] < 0.1
