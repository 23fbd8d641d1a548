"""Every code block of README and of the pages in docs/ runs; their links and tables are correct.

The blocks of a page share one namespace, in which there are a model and data.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benches"))
import report  # noqa: E402

PAGES = report.pages()
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# A block may say on which backends it runs.
BLOCK = re.compile(r"(?:<!-- on: ([\w ]+) -->\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(name, *found) for name in NAMES for found in BLOCK.findall((ROOT / name).read_text())]


def python_blocks(name):
    """The Python blocks that run on this backend, with their numbers on the page."""
    page = [block for block in BLOCKS if block[0] == name]
    for number, (_, backends, language, code) in enumerate(page):
        if language == "python" and keras.config.backend() in (backends or keras.config.backend()):
            yield number, code


@pytest.fixture
def names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    yield {
        "callbacks": callbacks,
        "fitwatch": fitwatch,
        "keras": keras,
        "model": model,
        "rewards": [0.5, 0.75],
        "train_step": lambda batch: keras.ops.convert_to_tensor(1 / min(batch + 1, 100)),
        "x": x,
        "y": x.sum(axis=1, keepdims=True),
    }
    fitwatch.disable()
    keras.distribution.set_distribution(None)


@pytest.mark.parametrize("name", [name for name in NAMES if any(python_blocks(name))])
@pytest.mark.filterwarnings("ignore:.*val_", "ignore:.*JAX's default device")
def test_the_python_of_a_page(name, names, tmp_path):
    for number, code in python_blocks(name):
        exec(compile(code, f"{name}, block {number}", "exec"), names)
    if name == "README.md":
        there = {path.name for path in tmp_path.iterdir()}
        assert {"best.keras", "logs", "loss.png", "own.png"} <= there
        assert names["stopping"].stopped_batch > 149  # it falls up to batch 99
    if name == "docs/trackers.md":
        rows = names["sqlite3"].connect("run.db").execute("SELECT kind, name, step FROM run")
        found = set(rows)
        assert {("batch", "loss", step) for step in range(36)} <= found
        assert {(kind, "val_loss", 35) for kind in ("validation", "epoch")} <= found


def test_every_block_is_of_a_known_kind():
    assert {language for _, _, language, _ in BLOCKS} == {"", "python"}
    assert len([block for block in BLOCKS if block[2] == "python"]) > 10


def test_what_is_to_be_typed_is_there():
    """Targets of the Makefile, and fitwatch's own command, which other tests run."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = "".join((ROOT / name).read_text() for name in NAMES)
    named = re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)
    assert {"demo", "test", "bench", "wheel"} <= set(named) <= set(targets)
    commands = set(re.findall(r"python -m fitwatch (\w+)", text))
    asked = [sys.executable, "-m", "fitwatch", "--help"]
    known = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert commands
    assert all(command in known for command in commands)


@pytest.mark.parametrize("name", [*NAMES, "benches/RESULTS.md", "examples/README.md"])
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            there = page.parent / path
            assert there.exists(), target
            headings = re.findall(r"^#+ (.*)", there.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in [h.lower().replace(" ", "-") for h in headings]


@pytest.mark.parametrize("name", NAMES)
def test_tables_of_figures_are_those_of_the_benchmarks(name):
    runs = json.loads(report.RESULTS.read_text())
    text = (ROOT / name).read_text()
    assert report.into(text, runs) == text
