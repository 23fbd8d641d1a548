"""Reading recorded runs: processor time and memory, beside TensorBoard's readers and tbparse.

Every figure is that of a process of its own, with the files in the page cache. The data server
keeps 1,000 points of each tag, as TensorBoard starts it, and does not verify checksums.
TensorBoard's Python reader and tbparse keep all points; they get a tenth of the scalars, because
ten million take them minutes and over 20 GB. Runs on one backend: there is none in it.

`FITWATCH_BENCH_POINTS` is the largest number of points in the test of growth; the default is 100
million.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import note

import fitwatch

sys.path.append(str(Path(__file__).parent.parent / "tests"))

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough")

LAST = int(os.environ.get("FITWATCH_BENCH_POINTS", 10**8))
ROUNDS = 5
BLOCK = 10_000

# Each prints the processor time in seconds, and the memory in bytes beyond that of its imports.
BEGIN = """
import json, os, re, sys, time
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
"""
END = """
print(json.dumps([time.process_time() - began, peak() - before, *rest]))
"""
READERS = {
    "fitwatch": """
import fitwatch._view.runs as runs
before, began, rest = peak(), time.process_time(), []
found = runs.read(sys.argv[1])
""",
    "EventAccumulator": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
before, began, rest = peak(), time.process_time(), []
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
found.Reload()
""",
    "tbparse": """
from tbparse import SummaryReader
before, began, rest = peak(), time.process_time(), []
found = SummaryReader(sys.argv[1]).scalars
""",
}
VIEW = """
from fitwatch import _core
before, began = peak(), time.process_time()
reader = _core.RunReader(sys.argv[1])
taken = time.process_time() - began
def seconds(start, stop):
    times = []
    for _ in range(9):
        clock = time.perf_counter()
        reader.envelope(".", "batch_loss", "step", start, stop, 1000)
        times.append(time.perf_counter() - clock)
    return sorted(times)[4]
points = int(sys.argv[2])
rest = [taken, seconds(0, points), seconds(points * 0.4, points * 0.6)]
"""


def measured(code, *arguments):
    """What a program prints: processor time, memory, and more."""
    command = [sys.executable, "-c", BEGIN + code + END, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(folder, points, tags):
    """An event file with `points` noisy values in each of the tags, which take turns."""
    rng = np.random.default_rng(0)
    with fitwatch.EventFileWriter(folder) as writer:
        for first in range(0, points, BLOCK):
            steps = np.arange(first, min(first + BLOCK, points))
            for tag in tags:
                writer.add_series(tag, rng.normal(1, 0.1, len(steps)), steps)


def by_data_server(folder, runs, tags, points):
    """The processor time of the data server until it has read everything, and its memory."""
    from data_server import scalars, serving

    with serving(folder, samples=1000) as (process, provider):

        def is_done():
            found = scalars(provider, points=1)
            ends = [one[-1].step for tags in found.values() for one in tags.values()]
            return len(ends) == runs * tags and set(ends) == {points - 1}

        while not is_done():
            time.sleep(0.05)
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        seconds = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return seconds, int(peak.split()[1]) * 1024


SHAPES = {
    "10,000,000 scalars in 2 tags": (1, 2, 5_000_000),
    "1,000,000 scalars in 100 tags": (1, 100, 10_000),
    "1,000 runs of 1,000 scalars": (1000, 1, 1000),
}


@pytest.mark.parametrize("what", SHAPES)
def test_beside_the_data_server(tmp_path, what):
    runs, tags, points = SHAPES[what]
    for run in range(runs):
        write(tmp_path / f"run{run}", points, [f"tag{tag}" for tag in range(tags)])
    count = runs * tags * points
    pairs = [
        (measured(READERS["fitwatch"], tmp_path), by_data_server(tmp_path, runs, tags, points))
        for _ in range(ROUNDS)
    ]
    ours, theirs = zip(*pairs, strict=True)
    ratio = note(
        "read",
        f"{what}: time of a scalar",
        [seconds / count for seconds, _ in ours],
        [seconds / count for seconds, _ in theirs],
        beside="TensorBoard's data server",
    )
    note("read", f"{what}: memory of a scalar", [memory / count for _, memory in ours], unit="B")
    assert ratio < 0.5


@pytest.mark.parametrize("other", ["EventAccumulator", "tbparse"])
def test_beside_python_readers(tmp_path, other):
    if other == "tbparse":
        pytest.importorskip("tbparse")
    write(tmp_path, 500_000, ["tag0", "tag1"])
    for at, what, unit in ((0, "time", "s"), (1, "memory", "B")):
        pair = [measured(READERS[name], tmp_path)[at] / 10**6 for name in ("fitwatch", other)]
        ratio = note(
            "read",
            f"1,000,000 scalars in 2 tags: {what} of a scalar",
            pair[:1],
            pair[1:],
            beside=other,
            unit=unit,
        )
        assert ratio < 0.5


@pytest.mark.parametrize("power", range(4, 9))
def test_growth(tmp_path, power):
    points = 10**power
    if points > LAST:
        pytest.skip("FITWATCH_BENCH_POINTS")
    write(tmp_path, points, ["batch_loss"])
    _, memory, seconds, picture, zoom = measured(VIEW, tmp_path, points)
    shutil.rmtree(tmp_path)  # pytest would keep gigabytes
    note("read growth", f"{points:,} points: reading", [seconds])
    note("read growth", f"{points:,} points: memory of a point", [memory / points], unit="B")
    note("read growth", f"{points:,} points: the envelope of a picture, 1,000 columns", [picture])
    note("read growth", f"{points:,} points: the envelope of a zoom", [zoom])
