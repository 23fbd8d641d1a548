"""Event files, read back with TensorBoard's own reader."""

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TIMED = {"epoch_steps_per_second", "batch_steps_per_second"}


def read(folder):
    """Every series in a folder: {tag: [(step, value), ...]}; the value of a timing is left out."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    series = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data
        points = []
        for event in events.Tensors(tag):
            proto = event.tensor_proto
            value = proto.string_val[:] or np.frombuffer(proto.tensor_content, "<f4").tolist()
            points.append((event.step, None if tag in TIMED else value))
        series[tag] = (plugin.plugin_name, plugin.content, points)
    return series


def steps(folder, tag):
    """The steps of a series, in the order in which they were written."""
    return [step for step, _ in read(folder)[tag][2]]


def runs(log_dir):
    return {path.name: read(path) for path in Path(log_dir).iterdir() if path.is_dir()}
