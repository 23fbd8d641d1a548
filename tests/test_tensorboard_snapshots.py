"""Embeddings and profiles, read back with TensorBoard's own plugins."""

import gzip
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from event_reader import read

from fitwatch.callbacks import TensorBoard

BACKEND = keras.config.backend()


def embedding_model():
    inputs = keras.Input((3,))
    layers = [keras.layers.Embedding(5, 2, name=name) for name in ("words", "signs")]
    outputs = [keras.layers.Flatten()(layer(inputs)) for layer in layers]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(outputs)))
    model.compile("sgd", "mse")
    return model


def projector(log_dir):
    """TensorBoard's Projector plugin on a folder of runs."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(log_dir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(log_dir))
    context = base_plugin.TBContext(logdir=str(log_dir), data_provider=provider)
    plugin = ProjectorPlugin(context)
    return {route: Client(app) for route, app in plugin.get_plugin_apps().items()}


def test_the_projector_shows_the_embeddings(tmp_path):
    (tmp_path / "labels.tsv").write_text("a\nb\nc\nd\ne\n")
    metadata = {"words": "labels.tsv"}
    board = TensorBoard(tmp_path, embeddings_freq=2, embeddings_metadata=metadata)
    model = embedding_model()
    x = np.zeros((8, 3), "int32")
    for _ in range(2):
        model.fit(x, np.zeros(8), epochs=3, verbose=0, callbacks=[board])
    assert metadata == {"words": "labels.tsv"}
    # Keras's own files are there too.
    assert (tmp_path / "projector_config.pbtxt").exists()
    names = {path.name for path in (tmp_path / "train").iterdir()}
    assert {f"keras_embedding.ckpt-{epoch}.weights.h5" for epoch in (0, 2)} <= names

    pages = projector(tmp_path)
    assert pages["/runs"].get("/").json == ["train"]
    shown = pages["/info"].get("/?run=train").json["embeddings"]
    assert [one["tensorName"] for one in shown] == ["words", "signs"]
    assert [one["tensorShape"] for one in shown] == [[5, 2], [5, 2]]
    tensor = pages["/tensor"].get("/?run=train&name=signs").data
    layer = model.get_layer("signs")
    expected = keras.ops.convert_to_numpy(layer.embeddings)
    np.testing.assert_allclose(np.frombuffer(tensor, "f4").reshape(5, 2), expected, rtol=1e-6)
    labels = pages["/metadata"].get("/?run=train&name=words").data
    assert labels.decode().split() == ["a", "b", "c", "d", "e"]


def test_one_file_of_labels_for_all_layers(tmp_path):
    (tmp_path / "labels.tsv").write_text("a\nb\nc\nd\ne\n")
    board = TensorBoard(
        tmp_path / "logs", embeddings_freq=1, embeddings_metadata=str(tmp_path / "labels.tsv")
    )
    embedding_model().fit(np.zeros((8, 3)), np.zeros(8), verbose=0, callbacks=[board])
    pages = projector(tmp_path / "logs")
    for name in ("words", "signs"):
        assert len(pages["/metadata"].get(f"/?run=train&name={name}").data.split()) == 5


def test_labels_of_a_layer_that_is_not_there(tmp_path):
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"other": "x.tsv"})
    with pytest.raises(ValueError, match="other"):
        embedding_model().fit(np.zeros((8, 3)), np.zeros(8), verbose=0, callbacks=[board])


def test_embeddings_that_cannot_be_written_end_no_training(tmp_path):
    board = TensorBoard(tmp_path, embeddings_freq=1)
    (tmp_path / "train" / "keras_embedding.words.tsv").mkdir(parents=True)
    (tmp_path / "train" / "keras_embedding.words.tsv" / "x").write_text("")
    with pytest.warns(UserWarning, match="embeddings cannot be written"):
        embedding_model().fit(np.zeros((8, 3)), np.zeros(8), verbose=0, callbacks=[board])
    assert "epoch_loss" in read(tmp_path / "train")


PROFILES = f"""
import sys
if {BACKEND == "jax"}:
    sys.modules["tensorflow"] = None
import keras, numpy as np, types
# Keras knows JAX's profiler from Python 3.12 on.
keras.src.callbacks.tensorboard.sys = types.SimpleNamespace(version_info=(3, 12))
from fitwatch.callbacks import TensorBoard
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
board = TensorBoard(sys.argv[1], profile_batch=(2, 3), write_graph=False)
model.fit(np.ones((40, 4)), np.ones((40, 1)), batch_size=8, verbose=0, callbacks=[board])
"""


@pytest.mark.skipif(BACKEND not in ("tensorflow", "jax"), reason="no profiler")
def test_a_profile(tmp_path):
    subprocess.run([sys.executable, "-c", PROFILES, str(tmp_path)], check=True, timeout=300)
    profiles = tmp_path / "train" / "plugins" / "profile"
    files = [path for path in profiles.rglob("*") if path.is_file()]
    assert any(path.name.endswith(".xplane.pb") for path in files)
    traces = [path for path in files if path.name.endswith("trace.json.gz")]
    for path in traces:
        events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
        assert any("Profiled batch" in event.get("name", "") for event in events)
    assert traces or BACKEND == "tensorflow"
    assert "epoch_loss" in read(tmp_path / "train")
    # The graph that TensorFlow traced is in our file.
    (path,) = (p for p in (tmp_path / "train").iterdir() if p.is_file())
    if BACKEND == "tensorflow":
        assert b"batch_3" in path.read_bytes()


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
def test_a_backend_without_a_profiler_says_so_at_once(tmp_path):
    with pytest.raises(ValueError, match="not yet available"):
        TensorBoard(tmp_path, profile_batch=2)


@pytest.mark.skipif(
    BACKEND != "jax" or sys.version_info >= (3, 12), reason="about JAX before Python 3.12"
)
def test_a_python_that_is_too_old_for_the_profiler_is_told_at_once(tmp_path):
    with pytest.warns(UserWarning, match=r"python >= 3.12"):
        TensorBoard(tmp_path, profile_batch=2)
    assert os.listdir(tmp_path) == []
