"""What Keras's TensorBoard callback takes from Keras's private modules."""

import sys
from typing import Any

from fitwatch._keras.version import unsupported


def model_json(model: Any) -> str:
    """The model's JSON, without importing TensorFlow where it is not loaded yet.

    Keras looks while it serialises whether a value is a TensorFlow one, and imports TensorFlow for
    that if it is installed. Where it is not loaded yet, no value can be.
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
    """Ends the profile of one batch, which Keras's TensorBoard callback began."""
    try:
        from keras.src.backend import tensorboard
    except ImportError as error:
        raise unsupported("keras.src.backend.tensorboard") from error
    tensorboard.stop_batch_trace(context)
