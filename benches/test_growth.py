"""What a batch costs after ten million batches."""

import contextlib
import io
import os
import statistics
import time

from conftest import TABLES
from full_set import make_fresh_logs, tiny_model

from fitwatch import callbacks


def test_growth(tmp_path):
    """The ten-millionth batch costs what the ten-thousandth costs, and takes no more memory."""
    last = 10**7
    made = [
        callbacks.EarlyStopping("loss", patience=10**9),
        callbacks.ModelCheckpoint(tmp_path / "x.keras", save_freq=10**9),
        callbacks.TensorBoard(tmp_path, update_freq=10**5, write_graph=False),
        callbacks.TerminateOnNaN(),
        callbacks.EarlyStopping("loss", unit="batch", patience=10**9, halflife=100),
        callbacks.LossHistory(capacity=1000),
        callbacks.LossHistory(),
    ]
    callback_list = callbacks.CallbackList(
        made,
        add_history=True,
        add_progbar=True,
        model=tiny_model(),
        verbose=1,
        epochs=1,
        steps=last,
    )
    fresh = make_fresh_logs()
    block, made_at_once = 10**4, 100

    def batches(first):
        begin, end = callback_list.on_train_batch_begin, callback_list.on_train_batch_end
        # JAX's arrays grow with every look at them, so that none may be used all the time.
        logs = [fresh() for _ in range(made_at_once)]
        started = time.perf_counter()
        for batch in range(first, first + block):
            begin(batch)
            end(batch, logs[batch % made_at_once])
        return time.perf_counter() - started

    with contextlib.redirect_stdout(io.StringIO()):
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        times, memory = [], []
        for first in range(0, last, block):
            times.append(batches(first))
            memory.append(resident())
        callback_list._recorder.drain()
    early = statistics.median(times[1:51])
    late = statistics.median(times[-50:])
    grown = (memory[-1] - memory[50]) / 2**20
    losses = 4 * (last - 51 * block) / 2**20  # what the second LossHistory keeps
    TABLES.append(
        (
            "growth",
            [
                f"Batch 10,000 to 510,000: {early / block * 1e6:.2f} µs a batch. "
                f"The last 500,000 of {last:,}: {late / block * 1e6:.2f} µs "
                f"(ratio {late / early:.3f}). Resident memory in between: {grown:+.1f} MiB, of "
                f"which {losses:.1f} MiB are losses that are kept."
            ],
        )
    )
    assert late < 1.5 * early
    assert grown < losses + 32


def resident():
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
