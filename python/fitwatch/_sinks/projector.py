"""Writes embedding layers for TensorBoard's Projector page.

The page reads a text file with one row of numbers for each token, and a `projector_config.pbtxt`
that names it, both in the same folder. (Keras's callback names a TensorFlow checkpoint, which
Keras 3 no longer writes: the page shows nothing.)
"""

import os
import shutil
from typing import Any

import keras
import numpy as np

from fitwatch import _files

CONFIG = "projector_config.pbtxt"


def write(folder: str, model: Any, labels: dict[str, str]) -> None:
    """Writes the current embeddings of a model, with the result of `labels`."""
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = ProjectorConfig()
    for layer in _layers(model):
        rows = keras.ops.convert_to_numpy(layer.embeddings)
        name = f"keras_embedding.{layer.name}"
        _write_rows(os.path.join(folder, f"{name}.tsv"), rows)
        shown = config.embeddings.add(
            tensor_name=layer.name, tensor_path=f"{name}.tsv", tensor_shape=rows.shape
        )
        if layer.name in labels:
            # The page reads files only from its folder.
            shown.metadata_path = f"{name}.labels.tsv"
            shutil.copyfile(labels[layer.name], os.path.join(folder, shown.metadata_path))
    text = text_format.MessageToString(config).encode()
    _files.write_whole(os.path.join(folder, CONFIG), lambda file: file.write(text))


def labels(model: Any, log_dir: str, metadata: Any) -> dict[str, str]:
    """The existing files with a label for each row, by layer name.

    Paths are relative to `log_dir`, as in Keras, or else to the working directory. `metadata` is a
    path for all layers, a dict of paths by layer name, or None.
    """
    named = metadata or {}
    if not isinstance(named, dict):
        named = {layer.name: named for layer in _layers(model)}
    found = {}
    for name, path in named.items():
        there = [p for p in (os.path.join(log_dir, path), os.fspath(path)) if os.path.isfile(p)]
        if there:
            found[name] = there[0]
    return found


def _layers(model: Any) -> list[Any]:
    return [
        layer for layer in model.layers if isinstance(layer, keras.layers.Embedding) and layer.built
    ]


def _write_rows(path: str, rows: Any) -> None:
    lines = ("\t".join(f"{x:.7g}" for x in row) + "\n" for row in np.asarray(rows, float).tolist())
    _files.write_whole(path, lambda file: file.writelines(line.encode() for line in lines))
