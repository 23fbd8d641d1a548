"""Event files of several writers, and what TensorBoard reads from them."""

import contextlib
import time
from pathlib import Path

import numpy as np

WRITERS = ("fitwatch", "tensorflow", "tensorboardX", "torch")


def write(writer, folder, points):
    """Writes points `(tag, step, value)` into a new event file; returns its path."""
    before = set(Path(folder).glob("*tfevents*")) if Path(folder).exists() else set()
    globals()[f"_{writer}"](str(folder), points)
    (new,) = set(Path(folder).glob("*tfevents*")) - before
    return new


def _fitwatch(folder, points):
    import fitwatch

    with fitwatch.EventFileWriter(folder) as writer:
        for tag, step, value in points:
            writer.add_scalar(tag, value, step)


def _tensorflow(folder, points):
    import tensorflow as tf

    writer = tf.summary.create_file_writer(folder)
    with writer.as_default():
        for tag, step, value in points:
            tf.summary.scalar(tag, value, step)
    writer.close()


def _tensorboardX(folder, points):  # noqa: N802
    from tensorboardX import SummaryWriter

    with SummaryWriter(folder) as writer:
        for tag, step, value in points:
            writer.add_scalar(tag, value, step)


def _torch(folder, points):
    """As torch's `SummaryWriter` does, which is a layer over TensorBoard's own writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(folder)
    for tag, step, value in points:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
    writer.close()


def records(path):
    """The offset and the length of each record's payload in an event file."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        found.append((at + 12, length))
        at += length + 16
    return found


def data_server(logdir):
    """What TensorBoard's data server shows: `{run: {tag: [(step, value), ...]}}`."""
    from data_server import scalars, serving

    with serving(logdir) as (process, provider):
        found = None
        while not found:
            assert process.poll() is None
            found = scalars(provider)
    return {
        run: {
            tag: [(point.step, np.float32(point.value)) for point in points]
            for tag, points in tags.items()
        }
        for run, tags in found.items()
    }


def accumulator(path):
    """What TensorBoard's Python reader keeps of a file: `{tag: [(step, value), ...]}`."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    with contextlib.suppress(Exception):  # it stops at damage
        events = EventAccumulator(
            str(path), size_guidance={"tensors": 0}, purge_orphaned_data=False
        )
        events.Reload()
    return {
        tag: [
            (event.step, np.float32(tensor_util.make_ndarray(event.tensor_proto).item()))
            for event in events.Tensors(tag)
        ]
        for tag in events.Tags()["tensors"]
    }
