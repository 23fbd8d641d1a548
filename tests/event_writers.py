"""Event files of several writers, and what TensorBoard reads from them."""

import contextlib
import subprocess
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
    import grpc
    from tensorboard import context
    from tensorboard.data import grpc_provider
    from tensorboard.data.proto import data_provider_pb2_grpc as service
    from tensorboard_data_server import server_binary

    ready = Path(logdir).parent / f"port {time.monotonic_ns()}"
    command = [server_binary(), f"--logdir={logdir}", "--port=0", f"--port-file={ready}"]
    options = ["--reload=once", "--samples-per-plugin=scalars=all", "--die-after-stdin"]
    with subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not (ready.exists() and ready.read_text().endswith("\n")):
                assert process.poll() is None
                time.sleep(0.002)
            address = f"localhost:{int(ready.read_text())}"
            with grpc.insecure_channel(address) as channel:
                stub = service.TensorBoardDataProviderStub(channel)
                provider = grpc_provider.GrpcDataProvider(address, stub)
                found = None
                while not found:  # it answers before it has read the run
                    assert process.poll() is None
                    found = provider.read_scalars(
                        context.RequestContext(),
                        experiment_id="",
                        plugin_name="scalars",
                        downsample=10**6,
                    )
                return {
                    run: {
                        tag: [(point.step, np.float32(point.value)) for point in points]
                        for tag, points in tags.items()
                    }
                    for run, tags in found.items()
                }
        finally:
            process.kill()
            ready.unlink(missing_ok=True)


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
