"""TensorBoard's pages in a browser, as users see them.

`FITWATCH_SCREENSHOTS=folder` keeps the screenshots.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard_server import tensorboard

from fitwatch.callbacks import TensorBoard

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough"),
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A run of the demo, and one of a model with an embedding."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("pages")
    demo = [sys.executable, "-m", "fitwatch", "demo", "--backend", "jax", "--epochs", "3"]
    subprocess.run([*demo, "--out", str(folder)], check=True, capture_output=True, timeout=600)
    x, y = load_digits(return_X_y=True)
    layers = [keras.layers.Embedding(17, 8, name="grey"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (folder / "labels.tsv").write_text("".join(f"grey {i}\n" for i in range(17)))
    board = TensorBoard(
        folder / "logs" / "with embedding",
        embeddings_freq=1,
        embeddings_metadata=str(folder / "labels.tsv"),
    )
    model.fit(x, y, epochs=2, verbose=0, callbacks=[board])
    return folder / "logs"


@pytest.fixture(scope="module")
def server(logs):
    """The address of a TensorBoard that shows the logs."""
    with tensorboard(logs) as address:
        yield address


def ask(server, path):
    with urllib.request.urlopen(f"{server}data/plugin/{path}", timeout=60) as answer:
        return answer.read().decode()


@pytest.fixture
def picture(server, tmp_path):
    """Takes a picture of a page: an array of shape `(height, width, 3)`."""

    def take(page):
        from PIL import Image

        folder = Path(os.environ.get("FITWATCH_SCREENSHOTS", tmp_path)).absolute()
        path = folder / f"{page}.png"
        options = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"),
            *("--hide-scrollbars", "--window-size=1400,900", "--virtual-time-budget=20000"),
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        subprocess.run(
            [CHROMIUM, *options, f"--screenshot={path}", f"{server}#{page}"],
            check=True,
            capture_output=True,
            timeout=180,
        )
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        return pixels[130:, 360:]  # without the bars above and at the left

    return take


def near(pixels, colour, distance):
    """How many pixels have about this colour."""
    return int((abs(pixels - colour).max(axis=-1) < distance).sum())


def shows(picture, page, colour, distance, enough):
    """Whether a page has so many pixels of a colour: in one of a few pictures, the page is slow."""
    return any(near(picture(page), colour, distance) > enough for _ in range(5))


ORANGE = (255, 112, 67)  # TensorBoard's colour for the first run


def test_scalars(server, picture):
    tags = json.loads(ask(server, "scalars/tags"))
    assert set(tags) == {"train", "validation", "with embedding/train"}
    assert {"batch_loss", "epoch_loss", "epoch_learning_rate"} <= set(tags["train"])
    assert shows(picture, "scalars", ORANGE, 40, 300)


def test_graphs(server, picture):
    graph = ask(server, "graphs/graph?run=train&conceptual=false")
    assert re.findall(r'name: "(\w+?)(?:_\d+)?"', graph)[:2] == ["input_layer", "dense"]
    assert shows(picture, "graphs", (255, 255, 255), 3, 400_000)  # an error has a grey ground
    assert shows(picture, "graphs", (170, 170, 170), 60, 200)


def test_histograms(server, picture):
    tags = json.loads(ask(server, "histograms/tags"))["train"]
    assert len(tags) == 4
    assert shows(picture, "histograms", ORANGE, 70, 3000)


def test_images(server, picture):
    tags = json.loads(ask(server, "images/tags"))["train"]
    assert len(tags) == 4
    assert shows(picture, "images", (0, 0, 0), 10, 3000)


def test_projector(server, picture):
    assert json.loads(ask(server, "projector/runs")) == ["with embedding/train"]
    assert shows(picture, "projector", (114, 114, 214), 40, 200)
