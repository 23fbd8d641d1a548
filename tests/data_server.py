"""TensorBoard's data server."""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path


@contextlib.contextmanager
def serving(logdir, samples="all"):
    """A data server that reads a folder once; yields its process and its provider of data.

    It answers before it has read the runs. `samples` is the number of points that it keeps.
    """
    import grpc
    from tensorboard.data import grpc_provider
    from tensorboard.data.proto import data_provider_pb2_grpc as service
    from tensorboard_data_server import server_binary

    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "port"
        command = [server_binary(), f"--logdir={logdir}", "--port=0", f"--port-file={ready}"]
        options = ["--reload=once", f"--samples-per-plugin=scalars={samples}", "--die-after-stdin"]
        with subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                while not (ready.exists() and ready.read_text().endswith("\n")):
                    assert process.poll() is None
                    time.sleep(0.002)
                address = f"localhost:{int(ready.read_text())}"
                with grpc.insecure_channel(
                    address, options=[("grpc.max_receive_message_length", -1)]
                ) as channel:
                    stub = service.TensorBoardDataProviderStub(channel)
                    yield process, grpc_provider.GrpcDataProvider(address, stub)
            finally:
                process.kill()


def scalars(provider, points=10**6):
    """The points that the server has read so far, by run and tag."""
    from tensorboard.context import RequestContext

    return provider.read_scalars(
        RequestContext(), experiment_id="", plugin_name="scalars", downsample=points
    )
