"""The wheel, in an environment that has it, JAX and pytest: `make test-wheel` makes that."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = os.environ.get("FITWATCH_WHEEL")
pytestmark = pytest.mark.skipif(WHEEL is None, reason="make test-wheel")
MISSING = ["tensorflow", "torch", "pandas", "sklearn"]
BEFORE_AND_AFTER = """
import gc, json, sys, time
started = time.perf_counter()
import keras
there = time.perf_counter()
before = set(sys.modules)
gc.disable()  # one that falls due here would look through all that Keras has made
import fitwatch
from fitwatch import callbacks
seconds = [there - started, time.perf_counter() - there]
print(json.dumps([fitwatch.__file__, sorted(set(sys.modules) - before), seconds]))
"""


def imported():
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_AND_AFTER],
        cwd=Path(sys.prefix),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def test_there_is_nothing_to_build_with_and_nothing_heavy():
    tools = ["cargo", "rustc", "maturin", "cc", "gcc", "clang", "c++"]
    assert [tool for tool in tools if shutil.which(tool)] == []
    assert [name for name in MISSING if importlib.util.find_spec(name)] == []


def test_what_is_installed_is_what_is_imported():
    file, modules, _ = imported()
    assert file.startswith(sys.prefix)
    heavy = [*MISSING, "matplotlib", "tensorboard"]
    assert [name for name in modules if name.split(".")[0] in heavy] == []


def test_the_import_takes_no_time_beside_that_of_keras():
    """It was about a hundredth when this was written."""
    assert min(ours / theirs for theirs, ours in (imported()[2] for _ in range(3))) < 0.05


def test_the_file():
    assert Path(WHEEL).stat().st_size < 2e6
    assert "-cp311-abi3-" in WHEEL
    if sys.platform == "linux":
        assert "-manylinux2014_" in WHEEL
    with zipfile.ZipFile(WHEEL) as wheel:
        names = wheel.namelist()
    assert {"fitwatch/py.typed", "fitwatch/_core.pyi"} <= set(names)
    page = [name for name in names if name.startswith("fitwatch/_view/page/")]
    assert {name.rpartition("/")[2] for name in page} >= {"index.html", "index.js", "style.css"}
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"fitwatch"}
    assert [name for name in names if "test" in name] == []


def test_recorded_runs_are_read_and_shown(tmp_path):
    with zipfile.ZipFile(WHEEL) as wheel:
        assert {f"fitwatch/_view/page/index.{kind}" for kind in ("html", "js")} <= set(
            wheel.namelist()
        )
    (tmp_path / "log.csv").write_text("epoch,loss\r\n0,0.5\r\n1,0.25\r\n")
    watch = [sys.executable, "-m", "fitwatch", "watch", str(tmp_path), "--once"]
    assert "loss" in subprocess.run(watch, check=True, capture_output=True, text=True).stdout
    points = importlib.metadata.entry_points(group="tensorboard_plugins", name="fitwatch")
    assert [point.load().__name__ for point in points] == ["Loader"]


def test_tensorboard_finds_the_tab():
    """Also where the extra `view` is not installed: werkzeug comes with TensorBoard."""
    points = importlib.metadata.entry_points(group="tensorboard_plugins", name="fitwatch")
    assert [point.load().__name__ for point in points] == ["Loader"]


def test_what_it_asks_for():
    asked = importlib.metadata.requires("fitwatch")
    always = [requirement for requirement in asked if "extra ==" not in requirement]
    assert [requirement.partition(">=")[0] for requirement in always] == ["keras", "numpy"]
    extras = importlib.metadata.metadata("fitwatch").get_all("Provides-Extra")
    assert set(extras) == {"arrow", "demo", "mlflow", "plot", "tensorboard", "view", "wandb"}
