"""Private functions of Keras that the TensorBoard callback uses."""

import sys
from typing import Any

from fitwatch._keras.version import unsupported


def model_json(model: Any) -> str:
    """The model's JSON, without importing TensorFlow.

    Keras imports TensorFlow, if installed, to check for TensorFlow values while it serialises. If
    it is not loaded yet, there are none.
    """
    try:
        from keras.src.utils.module_utils import tensorflow
    except ImportError as error:
        raise unsupported("keras.src.utils.module_utils.tensorflow") from error
    if "tensorflow" in sys.modules or "_available" not in vars(tensorflow):
        return str(model.to_json())
    before = tensorflow._available
    tensorflow._available = False
    try:
        return str(model.to_json())
    finally:
        tensorflow._available = before


def stop_batch_trace(context: Any) -> None:
    """Ends the profile of one batch, begun by Keras's TensorBoard callback."""
    try:
        from keras.src.backend import tensorboard
    except ImportError as error:
        raise unsupported("keras.src.backend.tensorboard") from error
    tensorboard.stop_batch_trace(context)
