"""Runs of third-party tools, each in a process of its own: with stock Keras, and with fitwatch.

A job is a function `job(enable)` of a test module. It trains with a tool and returns what the tool
recorded, as JSON can hold it. It calls `enable` where a script would call `fitwatch.enable()` late:
after the tool is set up and its callbacks are made. In the other runs, that does nothing.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

# When fitwatch.enable() is called: not at all, before anything is imported, or late.
STOCK, FIRST, LATE = "stock", "first", "late"
# No tool may reach the network: an attempt raises an error at once.
OFFLINE = {
    **dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"
    ),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1"),
    "MPLBACKEND": "agg",
}
LIMIT = 240  # seconds that a run may take
# Of this process: what the models are that make_model() gave, and what each fit() returned.
_models, _histories = [], []


class Failed(str):
    """The output of a run that ended with an error."""

    def __str__(self):
        """The error alone: the last line that names one, or else the last line."""
        lines = [line.strip() for line in self.splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line or "Exception" in line]
        return (errors or lines or ["it said nothing"])[-1][:300]


@cache
def run(module, job, when, limit=LIMIT):
    """What a job returned, in a process of its own, in an empty folder; or how it `Failed`."""
    with tempfile.TemporaryDirectory(prefix="fitwatch-", ignore_cleanup_errors=True) as folder:
        result, said, empty = (Path(folder, name) for name in ("result.json", "said", "empty"))
        empty.mkdir()
        with said.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, __file__, module, job, when, str(result)],
                cwd=empty,
                env=os.environ | OFFLINE | {"HOME": folder, "TMPDIR": folder},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            return Failed(f"no end after {limit} s")
        finally:  # some tools start processes of their own
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status or not result.exists():
            return Failed(said.read_text(errors="replace"))
        return json.loads(result.read_text())


def data(samples=48):
    """Samples of four features, and two classes that depend on them."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


def make_model(rate=0.1, **options):
    """A small model with two metrics, the same in every run."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "mae"], **options)
    _models.append(model)
    return model


def fit(model, *callbacks, epochs=3, **options):
    """Three batches an epoch, with validation; gives the history."""
    options = {"batch_size": 16, "verbose": 0, "validation_data": data(20), **options}
    history = model.fit(*data(), epochs=epochs, callbacks=list(callbacks), **options)
    _histories.append(history)
    return history.history


def lists():
    """Whether fitwatch made the callback lists of the fits in this process: {True}, or {False}.

    A list makes the History of its fit, of its own kind. Where a tool calls fit(), the last one of
    each model counts.
    """
    last = [model.history for model in _models if hasattr(model, "history")]
    return {type(history).__module__.startswith("fitwatch.") for history in _histories + last}


def companions():
    """Keras's callbacks that a script has besides the tool's."""
    import keras

    return [
        keras.callbacks.EarlyStopping("val_loss", patience=5),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1),
        keras.callbacks.CSVLogger("log.csv"),
    ]


def around(callback):
    """The callbacks of two fits: the tool's comes first in one list, last in the other."""
    return [callback, *companions()], [*companions(), callback]


def read_events(folder):
    """What TensorBoard reads in a folder: the plugin and the points of each tag."""
    import numpy as np
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    found = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        values = [(e.step, e.tensor_proto.tensor_content) for e in events.Tensors(tag)]
        points = [[step, np.frombuffer(value, "<f4").tolist()] for step, value in values]
        found[tag] = [plugin, points]
    return found


def _enable():
    import fitwatch

    fitwatch.enable()


def _main(module, job, when, result):
    if when == FIRST:
        _enable()
    recorded = getattr(importlib.import_module(module), job)(
        _enable if when == LATE else lambda: None
    )
    import keras
    import side_by_side  # the module that the job has, which this one is not

    # Neither run is worth anything if both were stock, or a tool had undone enable().
    on = when != STOCK
    assert ("fitwatch" in sys.modules) == on
    assert keras.callbacks.History.__module__.startswith("fitwatch.") == on
    assert side_by_side.lists() <= {on}  # none where other processes train
    Path(result).write_text(json.dumps(recorded))


if __name__ == "__main__":
    _main(*sys.argv[1:])
