"""The list of tags that a run writes: the same on every backend, with and without TensorFlow.

`make test-wheel` also runs it in an environment without TensorFlow.
"""

import importlib.util
import os

import keras
import numpy as np
import pytest
from event_reader import runs
from keras_versions import since_3_15

from fitwatch.callbacks import TensorBoard

WEIGHTS = ("model/hidden/bias", "model/hidden/kernel", "model/out/bias", "model/out/kernel")
SCALARS = ("accuracy", "learning_rate", "loss", "steps_per_second")
# Tags with the name of the plugin that shows them, and their steps.
EXPECTED = {
    "train": {
        "keras": ("graph_keras_model", [0]),
        **{f"epoch_{name}": ("scalars", [0, 1, 2]) for name in SCALARS},
        **{f"batch_{name}": ("scalars", list(range(1, 10))) for name in ("accuracy", "loss")},
        "batch_steps_per_second": ("scalars", list(range(1, 10))),
        **{f"{name}/histogram": ("histograms", [0, 2]) for name in WEIGHTS},
        **{f"{name}/image": ("images", [0, 2]) for name in WEIGHTS},
    },
    "validation": {
        **{f"epoch_{name}": ("scalars", [0, 1, 2]) for name in ("accuracy", "loss")},
        **{f"evaluation_{x}_vs_iterations": ("scalars", [3, 6, 9]) for x in ("accuracy", "loss")},
    },
}


def tags(cls, folder, data):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2, name="out")]
    model = keras.Sequential([keras.Input((4,)), *layers], name="model")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    board = cls(
        folder,
        histogram_freq=2,
        write_images=True,
        write_steps_per_second=True,
        update_freq="batch",
        embeddings_freq=1,
    )
    options = {"epochs": 3, "batch_size": 20, "verbose": 0, "validation_data": data}
    model.fit(*data, callbacks=[board], **options)
    return {
        run: {tag: (plugin, [step for step, _ in points]) for tag, (plugin, _, points) in t.items()}
        for run, t in runs(folder).items()
    }


def test_ours(tmp_path, data):
    assert tags(TensorBoard, tmp_path, data) == EXPECTED


@pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="needs TensorFlow")
@since_3_15
def test_those_of_keras(tmp_path, data):
    """Checks that the list above is what Keras writes."""
    assert tags(keras.callbacks.TensorBoard, tmp_path, data) == EXPECTED


@pytest.mark.skipif("FITWATCH_WHEEL" not in os.environ, reason="about another environment")
def test_tensorflow_is_not_installed():
    assert not importlib.util.find_spec("tensorflow")
    assert keras.config.backend() == "jax"
    assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.ones(3))).all()
