"""`python -m fitwatch run -m`: a module runs as by itself, with fitwatch enabled."""

import subprocess
import sys

import keras
import pytest

MODULE = """
import os, sys
import __main__
import fitwatch
print(sys.argv, os.path.samefile(sys.path[0], os.getcwd()), vars(__main__) is globals())
print(sorted(globals()), __name__, __package__, __spec__.name, __file__, __cached__, __doc__)
from . import helper
print(fitwatch._enable.patch._in_force(), file=open("enabled", "a"))
def f():
    raise ValueError("mine")
"""

# What is run, and how the module ends.
MODULES = {
    "its names, and an exception": ("package.train", "f()"),
    "a package": ("package", "sys.exit('no data')"),
    "an exit function that reads __main__": (
        "package.train",
        "import atexit, threading\n"
        "atexit.register(lambda: print(sys.modules['__main__'].f.__name__))\n"
        "threading.Thread(target=lambda: print(sys.argv[0])).start()\n"
        "raise KeyboardInterrupt",
    ),
    "a package that fails": ("failing.train", ""),
    "missing": ("package.no", ""),
    "a file": ("package/train.py", ""),
    "a package without __main__": ("package.empty", ""),
}


def run_module(folder, module, *arguments, plainly=False, options=()):
    by = ["-m"] if plainly else ["-m", "fitwatch", "run", *options, "-m"]
    return subprocess.run(
        [sys.executable, *by, module, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )


def make_package(folder, body):
    for name in ("package", "package/empty", "failing"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("import sys; print(sys.argv)\n")
    (folder / "failing" / "__init__.py").write_text("1 / 0")
    (folder / "package" / "helper.py").write_text("")
    for name in ("train", "__main__"):
        (folder / "package" / f"{name}.py").write_text(MODULE + body)


@pytest.mark.parametrize(("module", "body"), MODULES.values(), ids=MODULES)
def test_it_ends_as_the_module_by_itself(tmp_path, module, body):
    make_package(tmp_path, body)
    arguments = ["--epochs", "3", "-m", "--", ""]
    theirs = run_module(tmp_path, module, *arguments, plainly=True)
    options = ["--resume-dir", "backups"] if module == "package" else []
    ours = run_module(tmp_path, module, *arguments, options=options)
    assert theirs.returncode
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    assert ours.stderr == theirs.stderr
    if body:
        assert (tmp_path / "enabled").read_text() == "False\nTrue\n"


TESTS = """
import keras
import numpy as np

def test_the_bar(capsys):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Asserts(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs == {"loss": 0}

    try:
        model.fit(np.ones((4, 1)), np.ones((4, 1)) * 9, epochs=1, callbacks=[Asserts()])
    finally:
        assert "Epoch 1/1" in capsys.readouterr().out
        assert keras.callbacks.History.__module__ == "fitwatch.callbacks.history"
"""


def test_pytest(tmp_path):
    """Its tests have fitwatch, what they print, and assertions that are explained."""
    (tmp_path / "conftest.py").write_text(
        f"import os\nos.environ['KERAS_BACKEND'] = {keras.config.backend()!r}\n"
    )
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = run_module(tmp_path, "pytest", "-p", "no:cacheprovider", "--color=no")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "Differing items:" in done.stdout
    assert "fit_scope.py" not in done.stdout  # a frame of ours, where Keras's are hidden
