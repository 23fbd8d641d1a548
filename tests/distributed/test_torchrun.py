"""`torchrun -m fitwatch run`: the processes of a script or a module train together."""

import os
import subprocess
import sys

import pytest
from ranks import BACKEND

pytestmark = pytest.mark.skipif(BACKEND != "torch", reason="torchrun is for torch")

TRAIN = """
import os, sys
import keras
import numpy as np
import torch
from torch import distributed
import fitwatch
torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank = int(os.environ["RANK"])
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((8, 2), "float32")
table = keras.callbacks.CSVLogger("log.csv")
history = model.fit(x, x[:, :1] * rank, batch_size=4, epochs=2, verbose=0, callbacks=[table])
assert fitwatch.distributed.rank() == rank
world = fitwatch.distributed.world_size()
print(rank, world, __name__, sys.argv[1:], type(table).__module__, history.history["loss"][0])
"""


@pytest.mark.parametrize("program", [["package/train.py"], ["-m", "package.train"]])
def test_processes_find_each_other_and_one_writes(tmp_path, program):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "-m", "fitwatch", "run", *program, "-m", "x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.splitlines())
    told = [line.rpartition(" ") for line in lines]
    ours = "__main__ ['-m', 'x'] fitwatch.callbacks.csv_logger"
    assert [first for first, _, _ in told] == [f"0 2 {ours}", f"1 2 {ours}"]
    losses = [loss for _, _, loss in told]
    assert losses[0] != losses[1]  # of a process's own data
    first_row = (tmp_path / "log.csv").read_text().split()[1]
    assert first_row.split(",")[1] == losses[0]
