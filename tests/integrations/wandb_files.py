"""What a run of Weights & Biases has stored, and what it has from its own callback."""

import json
from pathlib import Path

from side_by_side import fit, make_model
from test_wandb import records, start


def rows_of(run):
    """Ends an offline run. Gives its rows, in order."""
    histories = [record.history for record in _records(run) if record.HasField("history")]
    return [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for row in histories
    ]


def axes_of(run):
    """The step metric of each name, or pattern of names, that was defined in a run."""
    defined = [record.metric for record in _records(run) if record.HasField("metric")]
    return {
        metric.name or metric.glob_name: metric.step_metric
        for metric in defined
        if not metric.expanded_from_glob
    }


def _records(run):
    import wandb

    run.finish()
    wandb.teardown()  # the process that writes the file has ended after this
    (path,) = Path().glob(f"wandb/offline-run-*-{run.id}/*.wandb")
    return [*records(path)]


def by_metrics_logger(_):
    """The rows and axes of WandbMetricsLogger, for batches and for epochs."""
    from wandb.integration.keras import WandbMetricsLogger

    found = {}
    for freq in ("batch", "epoch"):
        run = start()
        fit(make_model(), WandbMetricsLogger(log_freq=freq))
        found[freq] = [rows_of(run), axes_of(run)]
    return found
