"""The time that importing fitwatch and its callbacks adds to `import keras`, in new processes."""

import json
import os
import subprocess
import sys

from conftest import note

CODE = """
import gc, json, sys, time
started = time.perf_counter()
import keras
there = time.perf_counter()
gc.disable()  # a collection here would traverse all objects of Keras and torch
import fitwatch
from fitwatch import callbacks
print(json.dumps([time.perf_counter() - there, there - started]))
"""


def test_import(tmp_path):
    # With modules compiled beforehand, as after an installation.
    options = ["-X", f"pycache_prefix={tmp_path}"]

    def run():
        done = subprocess.run(
            [sys.executable, *options, "-c", CODE],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return json.loads(done.stdout)

    run()
    ours, keras = zip(*(run() for _ in range(7)), strict=True)
    assert note("import", "fitwatch and fitwatch.callbacks", ours, keras, "keras itself") < 0.05
