"""ClearML, offline, which listens to TensorFlow's summaries: the scalars that it reports."""

import json
from pathlib import Path

from side_by_side import companions, fit, make_model

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
    folder = Path(task.get_offline_mode_folder())
    task.flush(wait_for_uploads=True)
    found = {}
    for path in folder.rglob("metrics.jsonl"):
        for line in path.read_text().splitlines():
            for event in json.loads(line):
                name = f"{event['metric']}/{event['variant']}"
                found.setdefault(name, []).append([event["iter"], event["value"]])
    Task.current_task().close()
    return found


def test_scalars(recorded):
    found = recorded(scalars)
    assert [step for step, _ in found["batch_loss/batch_loss"]] == list(range(1, 10))
