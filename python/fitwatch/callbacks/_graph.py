"""The structure of a model, as TensorBoard's Graphs page reads it."""

import time
import warnings
from typing import Any


def model_event(model: Any) -> bytes | None:
    """The encoded event that shows `model` on the Graphs page; None where there is none to show.

    The format is that of Keras's own callback: the model's JSON as a string tensor under the tag
    `keras`, with plugin data `graph_keras_model`, version 1. The message classes are those of the
    `tensorboard` package; without it there is a warning and no graph.
    """
    if type(model).__name__ not in ("Functional", "Sequential"):
        return None
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.types_pb2 import DT_STRING
    except ImportError:
        warnings.warn(
            "TensorBoard: write_graph=True needs the tensorboard package "
            "(pip install fitwatch[tensorboard]); the graph is left out.",
            stacklevel=2,
        )
        return None
    try:
        description = model.to_json()
    except Exception as error:  # whatever a user's layer raises: a log must not end the training
        warnings.warn(f"TensorBoard: the model has no JSON form: {error}", stacklevel=2)
        return None
    event = Event(wall_time=time.time())
    value = event.summary.value.add(tag="keras")
    value.metadata.plugin_data.plugin_name = "graph_keras_model"
    value.metadata.plugin_data.content = b"1"
    value.tensor.dtype = DT_STRING
    value.tensor.tensor_shape.SetInParent()
    value.tensor.string_val.append(description.encode())
    return bytes(event.SerializeToString())
