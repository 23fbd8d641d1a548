"""ClearML, offline, which listens to TensorFlow's summaries: the scalars that it reports."""

import json
from pathlib import Path

from side_by_side import FIRST, Failed, companions, fit, make_model, run

PACKAGES = ["clearml", "tensorflow"]


def scalars(enable):
    import keras
    from clearml import Task

    # By default it forks a process that reports; a run with one did not end.
    Task._report_subprocess_enabled = False

    Task.set_offline(True)
    task = Task.init("test", "test", auto_connect_streams=False, auto_resource_monitoring=False)
    # ClearML waits for this statement; Keras on JAX imports it in a way that it does not see.
    import tensorflow  # noqa: F401

    enable()
    board = keras.callbacks.TensorBoard("logs", update_freq=1)
    fit(make_model(), *companions(), board)
    task.flush(wait_for_uploads=True)
    found = reported(task)
    Task.current_task().close()
    return found


def blocks(enable):
    """A BlockLogger, as docs/trackers.md shows it."""
    from clearml import Task

    from fitwatch.callbacks import BlockLogger

    Task._report_subprocess_enabled = False
    Task.set_offline(True)
    task = Task.init("test", "test", auto_connect_streams=False, auto_resource_monitoring=False)
    logger = task.get_logger()

    def action(block):
        for name in block.columns:
            for step, value in zip(block["step"], block[name], strict=True):
                logger.report_scalar(name, block.kind, value, iteration=int(step))

    fit(make_model(), *companions(), BlockLogger(action, every=4))
    task.flush(wait_for_uploads=True)
    found = reported(task)
    Task.current_task().close()
    return found


def reported(task):
    """Iterations and values, by name."""
    found = {}
    for path in Path(task.get_offline_mode_folder()).rglob("metrics.jsonl"):
        for line in path.read_text().splitlines():
            for event in json.loads(line):
                name = f"{event['metric']}/{event['variant']}"
                found.setdefault(name, []).append([event["iter"], event["value"]])
    return found


def test_blocks():
    found = run(__name__, "blocks", FIRST)
    assert not isinstance(found, Failed), found[-8000:]
    assert [step for step, _ in found["loss/batch"]] == list(range(9))
    assert [step for step, _ in found["val_loss/epoch"]] == [2, 5, 8]


def test_scalars(recorded):
    found = recorded(scalars)
    assert [step for step, _ in found["batch_loss/batch_loss"]] == list(range(1, 10))
