"""The cost of a plot of ten million losses, compared with plain matplotlib.

Each kind draws in a separate process, so that the peak memory is its own. A small plot comes first,
so that neither figure includes the fonts and modules that matplotlib loads once.
"""

import subprocess
import sys

from conftest import note

ROUNDS = 3
LOSSES = 10**7

PREPARE = f"""
import time
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from fitwatch._view import plot

losses = np.empty({LOSSES}, dtype=np.float32)
rng = np.random.default_rng(0)
for part in np.split(losses, 100):
    part[:] = np.exp(rng.standard_normal(len(part), dtype=np.float32))
"""

DRAW = {
    "fitwatch": """
def save(losses):
    epochs = [(epoch, epoch * len(losses) // 20) for epoch in range(20)]
    curve = plot.Curve(losses, epochs=epochs)
    plot.save_curve(path, curve, title="Loss", xlabel="Batch", ylabel="Loss")
""",
    "plain matplotlib": """
def save(losses):
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.add_subplot().plot(losses)
    figure.savefig(path)
""",
}

# Not `ru_maxrss`, which starts with the peak of the parent process.
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
    ours, plain = (list(zip(*measured[kind], strict=True)) for kind in DRAW)
    beside = "plain matplotlib"
    time = note("plot", "time", ours[0], plain[0], beside)
    memory = note("plot", "peak memory, above the memory before", ours[1], plain[1], beside, "MiB")
    assert time < 0.5
    assert memory < 0.5
