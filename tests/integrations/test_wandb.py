"""Weights & Biases, offline: the records of the run's own file."""

import struct
from pathlib import Path

from side_by_side import around, companions, fit, make_model

PACKAGES = ["wandb"]
# What the clock decides.
TIMED = {"_runtime", "_timestamp", "_wandb"}


def start(**options):
    import wandb

    # No machine statistics and no console output: these do not come from callbacks.
    settings = wandb.Settings(x_disable_stats=True, console="off", silent=True)
    return wandb.init(project="test", mode="offline", dir=".", settings=settings, **options)


def records(path):
    """The records of a run's file, which is a log in LevelDB's format with a header of its own."""
    from wandb.proto import wandb_internal_pb2

    content, place, parts = path.read_bytes(), 7, b""
    while place < len(content):
        if 32768 - place % 32768 < 7:  # too little is left of the block for another piece
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


def finish(run):
    """Ends a run. Gives the rows that were logged, in order: names, and values as JSON."""
    import wandb

    run.finish()
    wandb.teardown()  # the process that writes the file has ended after this
    (path,) = Path().glob("wandb/offline-run-*/*.wandb")
    logged = [record.history for record in records(path) if record.HasField("history")]
    named = [
        {item.key or ".".join(item.nested_key): item.value_json for item in row.item}
        for row in logged
    ]
    return [{name: row[name] for name in row if name not in TIMED} for row in named]


def logged(enable):
    """Every batch and every epoch."""
    from wandb.integration.keras import WandbMetricsLogger

    run = start()
    made = around(WandbMetricsLogger(log_freq="batch"))
    enable()
    model = make_model()
    for callbacks in made:
        fit(model, *callbacks)
    return finish(run)


def synced(enable):
    import keras

    run = start(sync_tensorboard=True)
    enable()
    board = keras.callbacks.TensorBoard("logs", update_freq=1)
    fit(make_model(), *companions(), board)
    rows = finish(run)
    # The files of a folder are read as they grow: how the two are interleaved, the clock decides.
    named = [{name: row[name] for name in row if name != "_step"} for row in rows]
    return {
        folder: [row for row in named if any(name.startswith(folder) for name in row)]
        for folder in ("train", "validation")
    }


def test_metrics_logger(recorded):
    rows = recorded(logged)
    epochs = [row for row in rows if "epoch/epoch" in row]
    assert [row["epoch/epoch"] for row in epochs] == ["0", "1", "2"] * 2
    assert {"epoch/loss", "epoch/val_mae", "epoch/learning_rate"} <= set(epochs[0])
    steps = [int(row["batch/batch_step"]) for row in rows if "batch/loss" in row]
    assert steps == list(range(18))


def test_sync_tensorboard(recorded):
    done = recorded(synced)
    assert [row["global_step"] for row in done["validation"] if "validation/epoch_loss" in row] == [
        "0",
        "1",
        "2",
    ]
    assert sum("train/batch_loss" in row for row in done["train"]) == 9
