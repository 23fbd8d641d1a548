"""enable() before Keras is imported, and the order of imports after it."""

import os
import subprocess
import sys

import keras
import pytest

IMPORT_ORDER = """
import os, sys
import fitwatch
assert "keras" not in sys.modules
{first}
assert "keras" not in sys.modules
os.environ["KERAS_BACKEND"] = "{backend}"
import keras
assert keras.config.backend() == "{backend}"
assert keras.callbacks.TensorBoard.__module__.startswith("{expected}")
from keras.callbacks import EarlyStopping
assert EarlyStopping.__module__.startswith("{expected}")
assert keras.__spec__.loader is keras.__loader__
assert type(keras.__loader__).__module__ != "fitwatch._enable.after_import"
fitwatch.disable()
assert keras.callbacks.TensorBoard.__module__.startswith("keras")
"""


@pytest.mark.parametrize(
    ("first", "expected"),
    [("fitwatch.enable()", "fitwatch"), ("fitwatch.enable(); fitwatch.disable()", "keras")],
)
def test_keras_may_be_imported_afterwards(first, expected):
    script = IMPORT_ORDER.format(first=first, expected=expected, backend=keras.config.backend())
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="imports TensorFlow")
def test_the_names_that_tensorflow_has():
    script = """
import tensorflow as tf
before = tf.keras.callbacks.EarlyStopping
import fitwatch
fitwatch.enable()
from tensorflow.keras.callbacks import EarlyStopping, TensorBoard
import tensorflow.keras as tk
for found in (EarlyStopping, tf.keras.callbacks.EarlyStopping, tk.callbacks.EarlyStopping):
    assert found.__module__ == "fitwatch.callbacks.early_stopping", found
fitwatch.disable()
assert tf.keras.callbacks.EarlyStopping is before
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_looking_for_keras_is_no_import():
    """TensorFlow looks whether there is a Keras when it is imported."""
    script = """
import importlib.util, os, sys
import fitwatch
fitwatch.enable()
assert importlib.util.find_spec("keras") is not None
os.environ["KERAS_BACKEND"] = "nonsense"
try:
    import keras
except Exception:
    pass
for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
    del sys.modules[name]
os.environ["KERAS_BACKEND"] = BACKEND
import keras
assert keras.callbacks.TensorBoard.__module__ == "fitwatch.callbacks.tensorboard"
"""
    script = script.replace("BACKEND\n", f"{keras.config.backend()!r}\n")
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="imports TensorFlow")
def test_tensorflow_may_be_imported_first():
    script = """
import fitwatch
fitwatch.enable()
import tensorflow as tf
assert tf.keras.callbacks.TensorBoard.__module__ == "fitwatch.callbacks.tensorboard"
import keras
assert keras.callbacks.TensorBoard.__module__ == "fitwatch.callbacks.tensorboard"
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "first",
    [
        "from fitwatch.callbacks import EarlyStopping",
        "import fitwatch.callbacks.early_stopping",
        "import fitwatch.distributed",
        "from fitwatch import CallbackList",
        "from fitwatch import resumable",
        "from fitwatch import EventFileWriter",
    ],
)
def test_fitwatch_itself_may_import_keras(first):
    script = f"""
import sys
import fitwatch
fitwatch.enable()
assert "keras" not in sys.modules
{first}
import keras
from fitwatch.callbacks import EarlyStopping
assert keras.callbacks.EarlyStopping is EarlyStopping
fitwatch.disable()
assert keras.callbacks.EarlyStopping.__module__.startswith("keras")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
