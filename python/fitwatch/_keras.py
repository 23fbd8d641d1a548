"""Every private seam of Keras that fitwatch leans on, one function each.

Nothing else in fitwatch imports `keras.src` or reads a private attribute of a model.
"""

import sys
from typing import Any

import keras


def print_message(message: str) -> None:
    """Prints a line the way Keras's own callbacks do: to stdout, or to the log if it is off."""
    try:
        from keras.src.utils.io_utils import print_msg
    except ImportError as error:
        raise _unsupported("keras.src.utils.io_utils.print_msg") from error
    print_msg(message)


def model_of(callback: Any) -> Any:
    """The callback's model, without the side effect of `callback.model`.

    On JAX that property copies every variable of the training state back into the model, which
    only a caller that reads or sets variables needs (a learning rate is one). On torch it unwraps a
    data-parallel model.
    """
    return callback.model if keras.config.backend() == "torch" else callback._model


def comparison() -> tuple[bool, bool] | None:
    """How this backend compares Python floats: `(in double precision, subnormals are zero)`.

    Found out by asking it. None for a float type narrower than float32, which the core does not
    know.
    """
    double = _less(1.0, 1.0 + 1e-12)
    if not double and not _less(1.0, 1.0 + 1e-6):
        return None
    subnormal = 1e-310 if double else 1e-40
    return double, not _less(0.0, subnormal)


def model_json(model: Any) -> str:
    """The model's JSON, without importing TensorFlow where nobody else has.

    Keras looks while it serialises whether a value is a TensorFlow one, and imports TensorFlow for
    that if it is installed. Where it is not loaded yet, no value can be.
    """
    try:
        from keras.src.utils.module_utils import tensorflow
    except ImportError as error:
        raise _unsupported("keras.src.utils.module_utils.tensorflow") from error
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
        raise _unsupported("keras.src.backend.tensorboard") from error
    tensorboard.stop_batch_trace(context)


def _less(a: float, b: float) -> bool:
    return bool(keras.ops.less(a, b))


def _unsupported(what: str) -> RuntimeError:
    return RuntimeError(
        f"fitwatch needs {what}, which Keras {keras.__version__} does not have. "
        "fitwatch is tested with Keras 3.15."
    )
