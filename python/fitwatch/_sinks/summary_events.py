"""Encodes rare events: the model's structure, histograms and images of its weights.

It uses the message classes of the `tensorboard` package, in the formats that its plugins document,
and returns bytes for the event-file writer. TensorFlow is not needed.
"""

import contextlib
import io
import json
import time
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fitwatch._keras import tensorboard
from fitwatch._sinks import model_graph
from fitwatch._warn import warn

MAX_IMAGES = 3  # as many as `tf.summary.image` keeps of a batch


def require_tensorboard(argument: str) -> None:
    """Raises an ImportError if the `tensorboard` package, which `argument` needs, is missing."""
    if find_spec("tensorboard") is None:
        raise ImportError(f"{argument} needs tensorboard: pip install fitwatch[tensorboard]")


def model_events(model: Any) -> list[bytes]:
    """The events that show `model` on the Graphs page; none for a subclassed model.

    The first has the model's JSON, as Keras's callback writes it: a string tensor under the tag
    `keras`, with plugin data `graph_keras_model`, version 1. TensorBoard shows it as "Conceptual
    graph". The second has the graph of the layers as the graph of the run, which the page shows
    first.
    """
    if type(model).__name__ not in ("Functional", "Sequential"):
        return []
    try:
        from tensorboard.compat.proto.summary_pb2 import Summary
    except ImportError:
        warn(
            "TensorBoard: write_graph=True needs the tensorboard package "
            "(pip install fitwatch[tensorboard]); the graph is left out."
        )
        return []
    try:
        description = tensorboard.model_json(model)
    except Exception as error:  # a user's layer may raise anything; a log must not end the training
        warn(f"TensorBoard: the model has no JSON form: {error}")
        return []
    summary = Summary()
    value = summary.value.add(tag="keras")
    value.metadata.plugin_data.plugin_name = "graph_keras_model"
    value.metadata.plugin_data.content = b"1"
    _set_strings(value.tensor, [description.encode()], scalar=True)
    events = [_event(summary, step=0)]
    # A user's layer may write anything into the JSON.
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        events.append(_graph_event(model_graph.nodes(json.loads(description))))
    return events


def _graph_event(nodes: list[model_graph.Node]) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    for node in nodes:
        graph.node.add(name=node.name, op=node.kind, input=node.inputs)
    event = Event(wall_time=time.time(), graph_def=graph.SerializeToString())
    return bytes(event.SerializeToString())


def histogram_event(tag: str, values: NDArray[Any], step: int) -> bytes:
    """Encodes a histogram of `values`, an array of any shape."""
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb

    return _event(histogram_pb(tag, values), step)


def image_event(tag: str, images: NDArray[Any], step: int) -> bytes:
    """Encodes images, shape `(n, height, width, channels)`, with values from 0 to 1."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.image.metadata import create_summary_metadata

    # The rounding of tf.image.convert_image_dtype.
    pixels = np.clip(np.nan_to_num(images.astype("float32"), nan=0.0) * 255.5, 0, 255).astype(
        "uint8"
    )
    strings = [str(pixels.shape[2]).encode(), str(pixels.shape[1]).encode()]
    for image in pixels[:MAX_IMAGES]:
        png = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(png, "PNG")
        strings.append(png.getvalue())
    summary = Summary()
    value = summary.value.add(tag=tag)
    value.metadata.CopyFrom(create_summary_metadata(display_name=None, description=None))
    _set_strings(value.tensor, strings)
    return _event(summary, step)


def weights_as_images(weights: NDArray[Any]) -> NDArray[Any] | None:
    """Weights as a batch of images, in the layout of Keras's callback; None for other shapes.

    A vector is one column; a matrix is one image, wider than high; each filter of a
    three-dimensional kernel is an image.
    """
    images = weights.squeeze()
    if images.ndim == 1:
        images = images[None, :, None, None]
    elif images.ndim == 2:
        images = (images.T if images.shape[0] > images.shape[1] else images)[None, :, :, None]
    elif images.ndim == 3:
        if keras.config.image_data_format() == "channels_last":
            images = np.moveaxis(images, 2, 0)
        images = images[..., None]
    return images if images.ndim == 4 and images.shape[-1] in (1, 3, 4) else None


def _set_strings(tensor: Any, strings: list[bytes], scalar: bool = False) -> None:
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    tensor.dtype = DT_STRING
    tensor.tensor_shape.SetInParent()
    if not scalar:
        tensor.tensor_shape.dim.add(size=len(strings))
    tensor.string_val.extend(strings)


def _event(summary: Any, step: int) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event

    event = Event(wall_time=time.time(), step=step, summary=summary)
    return bytes(event.SerializeToString())
