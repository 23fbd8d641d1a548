"""A TensorBoard in a process of its own."""

import contextlib
import re
import subprocess
import sys


@contextlib.contextmanager
def tensorboard(logdir, environ=None):
    """Shows a folder; yields the address."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
    with subprocess.Popen(
        [*command, "--host", "localhost"], stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        try:
            for line in process.stderr:
                address = re.search(r"at (http://\S+/)", line)
                if address:
                    break
            yield address[1]
        finally:
            process.terminate()
