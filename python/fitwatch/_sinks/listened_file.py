"""An event file that TensorFlow writes, for tools that listen to TensorFlow's summary functions.

Weights & Biases (`sync_tensorboard=True`), ClearML, Comet and Neptune replace some of these
functions by their own, to be told of folders and values. Where one of them is replaced, this
callback's values go through them.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from fitwatch._keras import stock

# Where tools put functions of theirs, and which.
_GENERATED = "tensorflow.python.ops.gen_summary_ops"
_PLACES = {
    _GENERATED: (
        "create_summary_file_writer",
        "write_summary",
        "write_scalar_summary",
        "write_histogram_summary",
        "write_image_summary",
        "write_raw_proto_summary",
        "import_event",
    ),
    "tensorflow.python.ops.summary_ops_v2": ("create_file_writer_v2", "write", "write_raw_pb"),
    "tensorflow.python.summary.tb_summary": ("scalar", "histogram", "image"),
    "tensorflow.summary": ("create_file_writer", "scalar", "histogram", "image", "write"),
    "tensorflow._api.v2.summary": ("create_file_writer", "scalar", "histogram", "image", "write"),
    "tensorboard.plugins.scalar.summary_v2": ("scalar",),
    "tensorboard.plugins.histogram.summary_v2": ("histogram",),
    "tensorboard.plugins.image.summary_v2": ("image",),
    "tensorboard.summary.v2": ("scalar", "histogram", "image"),
}


def is_listened_to() -> bool:
    """Whether other code has put a function of its own in the place of one of TensorFlow's."""
    if _GENERATED not in sys.modules:
        return False
    return not all(
        _is_of_package(getattr(sys.modules[module], name, None), module.partition(".")[0])
        for module, names in _PLACES.items()
        if module in sys.modules
        for name in names
        if hasattr(sys.modules[module], name)
    )


def _is_of_package(function: Any, package: str) -> bool:
    """Whether a function's code lies in a package; `functools.wraps` copies everything else."""
    folders = getattr(sys.modules.get(package), "__path__", ())
    homes = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
    if not homes:
        return True  # a stand-in for the package, of which nothing can be said
    return stock.is_function_in(function, homes)


class ListenedFile:
    """Stands in for `_core.EventFile`: the same methods, through TensorFlow's writer.

    Args:
        folder: Where to make it.
        run: A name of the run, which becomes a part of the file's; None for none.
        failed: Called with whatever TensorFlow or the disk raise: that ends no training.
    """

    def __init__(self, folder: str, run: str | None, failed: Callable[[Exception], None]) -> None:
        import tensorflow as tf

        os.makedirs(folder, exist_ok=True)
        before = set(os.listdir(folder))
        suffix = {} if run is None else {"filename_suffix": f".fitwatch.{run}.v2"}
        self.writer = tf.summary.create_file_writer(folder, **suffix)
        self._summary = tf.summary
        self._failed = failed
        mine = f".{os.getpid()}."
        new = sorted(name for name in set(os.listdir(folder)) - before if mine in name)
        self.path = os.path.join(folder, new[0] if new else "")

    def add_scalar(self, tag: str, value: Any, step: int) -> None:
        """Adds one value under `tag`."""
        number = float(value)  # an array with dimensions is the caller's to report
        self._try(lambda: self._summary.scalar(tag, number, step=step))

    def add_event(self, event: bytes) -> None:
        """Adds an encoded `Event`."""
        from tensorflow.python.ops import gen_summary_ops

        self._try(lambda: gen_summary_ops.import_event(self.writer._resource, event))

    def nudge(self) -> None:
        """Has everything written now."""
        self.flush()

    def flush(self) -> None:
        """Waits until everything is with the operating system."""
        self._try(self.writer.flush)

    def close(self) -> None:
        """Flushes and closes the file."""
        self._try(self.writer.close)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            # Whether a user's own summaries are recorded now is none of these values' concern.
            with self.writer.as_default(), self._summary.record_if(True):
                action()
        except Exception as error:  # TensorFlow's are of its own kind
            self._failed(error)
