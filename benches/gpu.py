"""Measures fitwatch on an accelerator: `KERAS_BACKEND=jax python benches/gpu.py`, or torch.

Three things, compared with stock Keras in one run:
- how often the program waits for the device per batch (stock Keras reads the logs of every batch at
  once; fitwatch transfers many values together, and waits only if a transfer is not finished);
- the time of a step of `fit()` with everything on, including the start and end of the fit, compared
  with a list that does nothing;
- that all policies make the same decisions on the device's values as on the CPU's.

"Everything on" is each batch's loss and metrics in LossHistory, monitors that count in batches,
TensorBoard and CSV for every batch, and the bar.

It writes `benches/GPU-<backend>.md` with the device's name. Without an accelerator it runs on the
CPU, as a check of the script, and writes nothing: `FITWATCH_GPU_ROUNDS=1` makes that check short.
"""

import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import report
from full_set import full_set
from keras.src.callbacks import callback_list as stock_list

from fitwatch import callbacks
from fitwatch._engine import readers

BATCHES, ROUNDS = 200, int(os.environ.get("FITWATCH_GPU_ROUNDS", "15"))
WIDTH = 512
SEED = 1


class Floor(keras.callbacks.CallbackList):
    """Batch hooks that do nothing."""

    def on_train_batch_begin(self, batch, logs=None):
        pass

    def on_train_batch_end(self, batch, logs=None):
        pass


def device():
    """The accelerator's name; None without one."""
    if keras.config.backend() == "jax":
        import jax

        found = jax.devices()[0]
        return None if found.platform == "cpu" else found.device_kind
    if keras.config.backend() != "torch":
        raise SystemExit("KERAS_BACKEND must be jax or torch")
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def model():
    keras.utils.set_random_seed(SEED)
    layers = [keras.layers.Dense(WIDTH, activation="relu") for _ in range(4)]
    made = keras.Sequential([keras.Input((WIDTH,)), *layers, keras.layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


def data():
    x = np.random.default_rng(SEED).normal(size=(BATCHES * 64, WIDTH)).astype("float32")
    return x, x.mean(axis=1, keepdims=True)


def everything(folder):
    """All that looks at every batch."""
    never = float("-inf")
    by_batch = {"update_freq": "batch", "loss": "batch", "metrics": "batch"}
    return [
        callbacks.LossHistory(columns="all"),
        callbacks.EarlyStopping("loss", unit="batch", patience=10**9, halflife=100),
        callbacks.ReduceLROnPlateau("mae", unit="batch", patience=10**9),
        callbacks.ModelCheckpoint(
            folder / "x.keras", "loss", save_best_only=True, initial_value_threshold=never
        ),
        callbacks.TensorBoard(folder / "batches", write_graph=False, **by_batch),
        callbacks.CSVLogger(folder / "batches.csv", **by_batch),
        callbacks.TerminateOnNaN(),
    ]


def lists(folder):
    """The kinds that are compared: a function that makes the list, and its callbacks."""
    stock = keras.callbacks
    return {
        "a list that does nothing": (Floor, []),
        "fitwatch, as much as Keras can": (callbacks.CallbackList, full_set(callbacks, folder)),
        "fitwatch, everything on": (callbacks.CallbackList, everything(folder)),
        "stock Keras, nothing on": (stock.CallbackList, []),
        "stock Keras, everything on": (stock.CallbackList, full_set(stock, folder)),
    }


def made_list(make, made, trained, progress=True):
    options = {"verbose": 1, "epochs": 1, "steps": BATCHES}
    return make(made, model=trained, add_history=True, add_progbar=progress, **options)


def step_times(folder):
    """Seconds per step, for each kind in turn."""
    trained, (x, y) = model(), data()
    times = {}
    for round_ in range(ROUNDS + 1):
        for kind, (make, made) in lists(folder).items():
            progress = bool(made)
            with contextlib.redirect_stdout(io.StringIO()):
                listed = made_list(make, made, trained, progress)
                began = time.perf_counter()
                trained.fit(x, y, batch_size=64, shuffle=False, callbacks=listed)
                spent = time.perf_counter() - began
            if round_:  # the first one compiles
                times.setdefault(kind, []).append(spent / BATCHES)
    return times


@contextlib.contextmanager
def transfers_counted(waits, transfers):
    """Counts transfers from the device, and how often the program waits for one."""
    unready = {"which": lambda own, handle: not own.ready(handle)}
    with contextlib.ExitStack() as stack:
        if keras.config.backend() == "torch":
            owners = [(readers.TorchTransfer, "start", "finish", unready)]
        else:
            import jax

            # The values of many batches are in one array, whose copy is started in advance.
            array = type(jax.numpy.zeros(1))
            late = {"which": lambda own, *args, **kwargs: not own.is_ready()}
            owners = [
                (readers.JaxTransfer, "start", "finish", unready),
                (array, "copy_to_host_async", "__array__", late),
            ]
        for owner, start, finish, which in owners:
            stack.enter_context(counted(owner, start, transfers))
            stack.enter_context(counted(owner, finish, waits, **which))
        yield


@contextlib.contextmanager
def counted(owner, name, count, which=lambda *args, **kwargs: True):
    """Counts the calls of a function for which `which` is true."""
    original = getattr(owner, name)

    def counting(*args, **kwargs):
        count[0] += bool(which(*args, **kwargs))
        return original(*args, **kwargs)

    setattr(owner, name, counting)
    try:
        yield
    finally:
        setattr(owner, name, original)


def waits(folder):
    """Waits for the device, and transfers, per batch, with everything on."""
    (x, y), found = data(), {}
    for kind, (make, made) in lists(folder).items():
        if not made:
            continue
        reads, transfers = [0], [0]
        with (
            contextlib.redirect_stdout(io.StringIO()),
            counted(stock_list.python_utils, "pythonify_logs", reads),
            transfers_counted(reads, transfers),
        ):
            trained = model()
            listed = made_list(make, made, trained)
            trained.fit(x, y, batch_size=64, callbacks=listed)
        found[kind] = reads[0] / BATCHES, transfers[0] / BATCHES
    return found


def decisions(values, folder):
    """The decisions of all policies on a series of values."""
    trained = model()
    stopping = callbacks.EarlyStopping("loss", unit="batch", patience=40, halflife=5)
    plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=15, cooldown=10)
    epochs = callbacks.EarlyStopping("loss", patience=2)
    best = callbacks.ModelCheckpoint(f"{folder}/best.keras", "loss", save_best_only=True)
    nan, losses = callbacks.TerminateOnNaN(), callbacks.LossHistory(loss="running")
    made = [stopping, plateau, epochs, best, nan, losses]
    listed = callbacks.CallbackList(made, model=trained, max_lag=0)
    listed.on_train_begin()
    per_epoch = 50
    for batch, value in enumerate(values):
        if batch % per_epoch == 0:
            listed.on_epoch_begin(batch // per_epoch)
        listed.on_train_batch_begin(batch % per_epoch)
        listed.on_train_batch_end(batch % per_epoch, {"loss": value})
        if batch % per_epoch == per_epoch - 1:
            listed.on_epoch_end(batch // per_epoch, {"loss": value})
    found = [stopping.stopped_batch, stopping.best_batch, stopping.best, plateau.reductions]
    found += [epochs.stopped_epoch, epochs.best, best.best, trained.stop_training]
    listed.on_train_end()
    return [*found, losses.losses.tolist()]


def main():
    name = device()
    series = np.random.default_rng(SEED).normal(1, 0.1, 500).astype("float32")
    series[:200] += np.linspace(3, 0, 200, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        on_device = [keras.ops.convert_to_tensor(value) for value in series]
        same = decisions(on_device, folder) == decisions(series.astype(float).tolist(), folder)
        assert same, "decisions on the device's values differ from those on the CPU's"
        times, waited = step_times(Path(folder)), waits(Path(folder))
    floor = times["a list that does nothing"]
    lines = ["| `fit()` | a step | ratio to the first (quartiles) | waits in a batch | transfers |"]
    lines.append("|---|---:|---:|---:|---:|")
    for kind, spent in times.items():
        ratios = sorted(a / b for a, b in zip(spent, floor, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        reads, transfers = (f"{each:.3f}" for each in waited[kind]) if kind in waited else ("", "")
        lines.append(
            f"| {kind} | {report.show(statistics.median(spent), 's')} "
            f"| {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}) | {reads} | {transfers} |"
        )
    about = report.about([report.of_backend([])])
    page = f"# {name or 'no accelerator'}\n\n{about}\n\n" + "\n".join(lines) + "\n"
    print(page)
    if name:
        backend = keras.config.backend()
        (Path(__file__).parent / f"GPU-{backend}.md").write_text(page)


if __name__ == "__main__":
    main()
