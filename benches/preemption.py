"""The time from a signal to the end of the program, for a model of 100 MB.

    python benches/preemption.py [ROUNDS]

Prints the seconds from SIGTERM until `fit()` raises SystemExit, and until the process has ended,
for `BackupAndRestore(exact=True, save_before_preemption=True)`. The rest is what Python and the
backend take to leave.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MEGABYTES = 100

TRAINS = """
import sys, time
import keras, numpy as np
import fitwatch
fitwatch.enable()
width = int((float(sys.argv[2]) * 1e6 / 4 / 4) ** 0.5)
layers = [keras.layers.Dense(width, use_bias=False) for _ in range(4)]
model = keras.Sequential([keras.Input((width,)), *layers])
model.compile("sgd", "mse")
x = np.zeros((4096, width), "float32")
says = keras.callbacks.LambdaCallback(
    on_train_batch_end=lambda batch, logs: batch == 2 and print("training", flush=True)
)
backup = keras.callbacks.BackupAndRestore(
    sys.argv[1], save_freq=False, exact=True, save_before_preemption=True
)
try:
    model.fit(x, x, batch_size=1, epochs=1000, verbose=0, callbacks=[backup, says])
except SystemExit:
    print(time.time(), flush=True)
    raise
"""


def seconds(megabytes):
    """Seconds from SIGTERM to SystemExit, and to the exit."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", TRAINS, folder, str(megabytes)], stdout=subprocess.PIPE
        )
        child.stdout.readline()
        began = time.time()
        child.send_signal(signal.SIGTERM)
        raised = float(child.stdout.readline()) - began
        code = child.wait()
        ended = time.time() - began
        assert code == 128 + signal.SIGTERM
        size = os.path.getsize(os.path.join(folder, "latest.weights.h5"))
        assert size >= megabytes * 0.99e6
    return raised, ended


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for megabytes in (MEGABYTES, 0.01):
        found = zip(*(seconds(megabytes) for _ in range(rounds)), strict=True)
        for what, times in zip(("SystemExit", "the exit"), found, strict=True):
            print(
                f"{megabytes} MB, until {what}: {statistics.median(times):.2f} s "
                f"({min(times):.2f} to {max(times):.2f}, {rounds} rounds)"
            )


if __name__ == "__main__":
    main()
