"""`fitwatch.callbacks` beside `keras.callbacks`: the same names, the same signatures."""

import inspect
import subprocess
import sys

import keras
import pytest
from catalogue import ALONE

from fitwatch import callbacks


def test_every_name_of_keras_is_there():
    theirs = {name for name in dir(keras.callbacks) if not name.startswith("_")}
    assert set(callbacks.__all__) == theirs | ALONE
    assert all(hasattr(callbacks, name) for name in callbacks.__all__)


@pytest.mark.parametrize("name", sorted(set(callbacks.__all__) - ALONE))
def test_signatures_are_those_of_keras(name):
    """Arguments, order and defaults; what is added is keyword-only."""
    ours = list(inspect.signature(getattr(callbacks, name)).parameters.values())
    theirs = list(inspect.signature(getattr(keras.callbacks, name)).parameters.values())
    if name == "ReduceLROnPlateau":
        theirs = [p for p in theirs if p.kind is not p.VAR_KEYWORD]  # theirs takes misspellings
    added = [p for p in ours if p.name not in {q.name for q in theirs}]
    assert all(p.kind is p.KEYWORD_ONLY for p in added)
    kept = [(p.name, p.default, p.kind) for p in ours if p not in added]
    assert kept == [(p.name, p.default, p.kind) for p in theirs]


def test_importing_fitwatch_imports_nothing_heavy():
    heavy = ["keras", "tensorflow", "jax", "torch", "matplotlib", "pandas", "numpy"]
    code = f"import fitwatch, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_callbacks_are_an_attribute_too():
    code = "import fitwatch; print(fitwatch.callbacks.EarlyStopping().patience)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_an_unknown_attribute_is_an_error():
    import fitwatch

    with pytest.raises(AttributeError, match="no attribute 'callback'"):
        _ = fitwatch.callback
