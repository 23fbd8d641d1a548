"""`python -m fitwatch demo`, run like a user does."""

import re
import subprocess
import sys

import keras
import pytest


def run(*arguments, **options):
    command = [sys.executable, "-m", "fitwatch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


def test_trains_on_digits_and_leaves_everything_in_one_folder(tmp_path):
    backend = keras.config.backend()
    done = run("demo", "--backend", backend, "--out", str(tmp_path / "out"), "--epochs", "3")
    assert done.returncode == 0, done.stderr
    table = done.stdout
    assert "1,797 handwritten digits" in table
    assert "3 of 3 (all of them)" in table
    accuracy = float(re.search(r"held-out digits +([\d.]+)% of 360", table)[1])
    assert 80 < accuracy <= 100
    ours, stock = map(float, re.search(r"per batch +([\d.]+) µs +([\d.]+) µs", table).groups())
    assert ours < stock
    assert keras.models.load_model(tmp_path / "out" / "best.keras").count_params() > 4000
    names = sorted(path.name for path in (tmp_path / "out" / "plots").iterdir())
    assert names == [f"plot_at_epoch_{n}.png" for n in range(3)]
    for path in re.findall(r"\S+tfevents\S+", table):
        assert (tmp_path / path).stat().st_size > 500


def test_the_default_folder_is_named_by_the_time(tmp_path):
    done = run("demo", "--backend", keras.config.backend(), "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"demo-\d{8}-\d{6}", folder.name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--epochs", "0"], "must be 1 or more; got 0"),
        (["demo", "--seed", "-1"], "must be from 0 to 2**32 - 1; got -1"),
        (["view", "logs", "--port", "http"], "must be a whole number; got 'http'"),
        (["demo", "--backend", "theano"], "invalid choice: 'theano'"),
        ([], "required: command"),
    ],
)
def test_bad_arguments(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_missing_package_is_named_before_anything_starts():
    code = (
        "import sys; from importlib import util; find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'sklearn' else find(name, *a)\n"
        "from fitwatch.__main__ import main; main(['demo'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "the demo needs scikit-learn: pip install scikit-learn" in done.stderr
