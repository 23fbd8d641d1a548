"""The time to write a scalar to an event file, compared with other writers.

All write in turn in one run: arrays, values one by one, or the metrics of a batch.
`FITWATCH_BENCH_SCALARS` is the number of scalars in the test of a writer's memory; the default is
50 million.
"""

import importlib.util
import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROUNDS, note
from full_set import make_fresh_logs, tiny_model

import fitwatch
from fitwatch import callbacks

SCALARS = int(os.environ.get("FITWATCH_BENCH_SCALARS", "50_000_000"))
METRICS = 10
# Enough of each for an accurate time.
COUNTS = {"add_series": 200_000, "add_scalar": 20_000, "recorder": 5_000}
SLOW = 500

GROWS = """
import os, re, sys
import numpy as np, fitwatch
def peak():  # in MiB, of this program: the one of getrusage begins with the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
count, block = int(sys.argv[2]), 1_000_000
values = np.linspace(0, 1, block)
peaks = []
with fitwatch.EventFileWriter(sys.argv[1]) as writer:
    for first in range(0, count, block):
        writer.add_series("loss", values, np.arange(first, first + block))
        peaks.append(peak())
print(peaks[1], peaks[-1], os.path.getsize(writer.path))
"""


def there(name):
    """Whether a package is installed."""
    return importlib.util.find_spec(name) is not None


def per_scalar(count, write, close):
    """Seconds per scalar until it is in the file; a writer may measure the time itself."""
    began = time.perf_counter()
    write(count)
    close()
    return getattr(write, "seconds", time.perf_counter() - began) / count


def writers(folder):
    """Each writer: its name, its key in `COUNTS`, and functions that write scalars and flush."""
    ours = fitwatch.EventFileWriter(folder)
    series = np.linspace(0, 1, COUNTS["add_series"]), np.arange(COUNTS["add_series"])

    def by_scalar(add):
        def write(count):
            for step in range(count):
                add("loss", 0.5, step)

        return write

    yield (
        "fitwatch, add_series",
        "add_series",
        lambda _: ours.add_series("loss", *series),
        (ours.flush),
    )
    yield "fitwatch, add_scalar", "add_scalar", by_scalar(ours.add_scalar), ours.flush
    fresh = make_fresh_logs()
    yield "fitwatch's TensorBoard", "recorder", *recorder(folder / "floats", lambda: 0.5)
    yield (
        "fitwatch's TensorBoard, batch values",
        "recorder",
        *recorder(folder / "batches", lambda: fresh()["loss"]),
    )
    if there("tensorboardX"):
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(folder / "x"))
        yield "tensorboardX", None, by_scalar(writer.add_scalar), writer.flush
        yield "tensorboardX, batch values", None, *of_batches(writer)
    if there("torch"):
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(folder / "torch"))
        yield "torch.utils.tensorboard", None, by_scalar(writer.add_scalar), writer.flush
    if there("tensorflow"):
        import tensorflow as tf

        theirs = tf.summary.create_file_writer(str(folder / "tensorflow"))

        def write(count):
            with theirs.as_default():
                for step in range(count):
                    tf.summary.scalar("loss", 0.5, step=step)

        yield "tf.summary.scalar", None, write, theirs.flush


def of_batches(writer):
    """What a hand-written callback does with the logs of a batch."""
    fresh = make_fresh_logs()

    def write(count):
        values = [fresh()["loss"] for _ in range(count)]
        began = time.perf_counter()
        for step, value in enumerate(values):
            writer.add_scalar("loss", float(value), step)
        write.seconds = time.perf_counter() - began

    return write, writer.flush


def recorder(folder, value):
    """The hooks of a compiled list with a `TensorBoard` that writes ten metrics of every batch."""
    board = callbacks.TensorBoard(folder, update_freq="batch", write_graph=False)
    callback_list = callbacks.CallbackList([board], model=tiny_model())
    batches = itertools.count()
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)

    def write(count):
        rows = [{f"metric_{i}": value() for i in range(METRICS)} for _ in range(count // METRICS)]
        began = time.perf_counter()
        for logs in rows:
            batch = next(batches)
            callback_list.on_train_batch_begin(batch)
            callback_list.on_train_batch_end(batch, logs)
        write.seconds = time.perf_counter() - began

    def close():
        began = time.perf_counter()
        callback_list._recorder.drain_for_read()
        board._fitwatch.files.flush()
        write.seconds += time.perf_counter() - began

    return write, close


def test_scalars_per_second(tmp_path):
    """Every writer is flushed before the clock is read."""
    kinds = list(writers(tmp_path))
    times = {name: [] for name, *_ in kinds}
    for round_ in range(ROUNDS):
        for name, count, write, close in kinds if round_ % 2 else kinds[::-1]:
            number = COUNTS.get(count, SLOW)
            times[name].append(per_scalar(number, write, close))
    for ours in [name for name in times if name.startswith("fitwatch")]:
        for theirs in [name for name in times if not name.startswith("fitwatch")]:
            if ("batch values" in ours) == ("batch values" in theirs):
                ratio = note("files", ours, times[ours], times[theirs], theirs)
                assert ratio < 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_long_series(tmp_path):
    """Fifty million scalars take about as much memory as two million: full buffers."""
    process = subprocess.run(
        [sys.executable, "-c", GROWS, str(tmp_path), str(SCALARS)],
        check=True,
        capture_output=True,
        text=True,
    )
    early, late, size = map(float, process.stdout.split())
    what = f"memory of a process that writes {SCALARS:,} scalars ({size / 1e9:.1f} GB)"
    note("files", what, [late], [early], "after 2,000,000 scalars", "MiB")
    assert late < early + 16  # both buffers, when they were full for once
