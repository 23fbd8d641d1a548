"""The functions behind `tf.summary`: those that other tools replace, and what they write to.

Weights & Biases (`sync_tensorboard=True`), ClearML, Comet and Neptune replace some of them to learn
about folders and values.
"""

import os
import sys
from typing import Any

from fitwatch._keras import stock

# The modules and functions that tools replace.
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
    """Whether other code has replaced one of TensorFlow's summary functions."""
    if _GENERATED not in sys.modules:
        return False
    homes = {package: _folders(package) for package in ("tensorflow", "tensorboard")}
    return any(
        not stock.is_function_in(getattr(sys.modules[module], name), home)
        for module, names in _PLACES.items()
        # A stub in place of the package has no folders.
        if module in sys.modules and (home := homes[module.partition(".")[0]])
        for name in names
        if hasattr(sys.modules[module], name)
    )


def import_event(writer: Any, event: bytes) -> None:
    """Adds an encoded `Event` to the file of a TensorFlow summary writer."""
    from tensorflow.python.ops import gen_summary_ops

    gen_summary_ops.import_event(resource(writer), event)


def resource(writer: Any) -> Any:
    """What TensorFlow's functions write to: the `_resource` of the default writer."""
    return writer._resource


def _folders(package: str) -> tuple[str, ...]:
    """The folders of a package's code; `functools.wraps` copies all other signs of a function."""
    folders = getattr(sys.modules.get(package), "__path__", ())
    return tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
