"""What a picture of ten million losses costs, beside plain matplotlib.

Each kind draws in a process of its own, so that the peak of its memory is its own. A small picture
comes first: fonts and modules that matplotlib loads but once are in neither figure.
"""

import statistics
import subprocess
import sys

from conftest import TABLES

ROUNDS = 3
LOSSES = 10**7

PREPARE = f"""
import time
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from fitwatch import _plot

losses = np.empty({LOSSES}, dtype=np.float32)
rng = np.random.default_rng(0)
for part in np.split(losses, 100):
    part[:] = np.exp(rng.standard_normal(len(part), dtype=np.float32))
"""

DRAW = {
    "fitwatch": """
def save(losses):
    epochs = [(epoch, epoch * len(losses) // 20) for epoch in range(20)]
    curve = _plot.Curve(losses, epochs=epochs)
    _plot.save_curve(path, curve, title="Loss", xlabel="Batch", ylabel="Loss")
""",
    "plain matplotlib": """
def save(losses):
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.add_subplot().plot(losses)
    figure.savefig(path)
""",
}

# Not `ru_maxrss`: that begins with the peak of the process that starts this one.
MEASURE = """
def peak():
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1])

save(losses[:3000])
before, started = peak(), time.perf_counter()
save(losses)
print(time.perf_counter() - started, (peak() - before) / 1024)
"""


def seconds_and_mebibytes(kind, path):
    script = f"{PREPARE}\npath = {str(path)!r}\n{DRAW[kind]}\n{MEASURE}"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    return tuple(float(number) for number in done.stdout.split()[-2:])


def test_plot(tmp_path):
    measured = {kind: [] for kind in DRAW}
    for _ in range(ROUNDS):
        for kind, found in measured.items():
            found.append(seconds_and_mebibytes(kind, tmp_path / "loss.png"))
    time, memory = (
        {kind: statistics.median(run[i] for run in found) for kind, found in measured.items()}
        for i in (0, 1)
    )
    lines = [f"| {LOSSES:,} losses as PNG | time | extra peak memory |", "|---|---:|---:|"]
    lines += [f"| {kind} | {time[kind]:.2f} s | {memory[kind]:.0f} MiB |" for kind in measured]
    TABLES.append(("a picture of a run", lines))
    assert time["fitwatch"] < time["plain matplotlib"] / 2
    assert memory["fitwatch"] < memory["plain matplotlib"] / 2
