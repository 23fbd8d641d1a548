"""Pending data is written when the interpreter exits, even if the file is still referenced."""

import subprocess
import sys

import pytest

HOLDS = {
    "a name": "",
    "a cycle": "class C: pass\nc = C(); c.c = c; c.file = file; del file",
    "a daemon thread": """
import threading, time
def hold(file): time.sleep(1000)
threading.Thread(target=hold, args=(file,), daemon=True).start()
del file""",
    "a leak": "import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(file))",
}


def run(code, hold, end):
    code = f"import sys\n{code}\n{HOLDS[hold]}\n{end}"
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert ended.returncode == (1 if end else 0), ended.stderr


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("end", ["", "sys.exit(1)", "raise RuntimeError"])
def test_events_are_written(hold, end, tmp_path):
    code = f"""
import fitwatch
file = fitwatch.EventFileWriter({str(tmp_path)!r})
file.add_scalar("x", 1.0, 1)
"""
    run(code, hold, end)
    (written,) = tmp_path.iterdir()
    assert written.read_bytes().count(b"scalars") == 1


@pytest.mark.parametrize("hold", HOLDS)
def test_rows_are_written(hold, tmp_path):
    path = tmp_path / "log.csv"
    code = f"""
from fitwatch._sinks.csv_table import Table
file = Table({str(path)!r}, None, separator=",", append=False, keep=None, fixed=["epoch"])
file.write({{"epoch": 0}}, {{"loss": 0.5}})
"""
    run(code, hold, "sys.exit(1)")
    assert path.read_text().splitlines() == ["epoch,loss,val_loss", "0,0.5,NA"]


def test_blocks_are_delivered(tmp_path):
    """Also after an error in a list of Keras's, which calls no hook then."""
    code = """
import keras, numpy as np
from fitwatch.callbacks import BlockLogger, LambdaCallback
def action(block):
    print(block.kind, *block["step"])
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
fails = LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / (2 - batch))
try:
    listed = [BlockLogger(action), fails]
    model.fit(np.ones((8, 1)), np.ones((8, 1)), 1, verbose=0, callbacks=listed)
except ZeroDivisionError:
    print("failed")
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=True, timeout=100, capture_output=True, text=True)
    assert ended.stdout.split("\n")[:2] == ["failed", "batch 0 1 2"]
