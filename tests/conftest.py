"""Fixtures of all tests. KERAS_BACKEND sets the backend; TensorFlow by default."""

import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# JAX compiles a program once for all tests and the processes that they start, in half the time.
os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="fitwatch-jax-")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import gc
import shutil
import signal

import keras
import numpy as np
import pytest

# These tests need additional packages: `make test-integrations`.
collect_ignore = [] if "FITWATCH_INTEGRATIONS" in os.environ else ["integrations"]

# A shell ignores Ctrl-C for background processes, and Python inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure():
    shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


def pytest_report_header():
    return f"Keras {keras.__version__} on {keras.config.backend()}"


@pytest.fixture(autouse=True)
def let_go():
    """Collects the previous test's objects, such as data that was not read to its end.

    TensorFlow waits for such data, up to a minute if it is old. Objects still in use stay.
    """
    if keras.config.backend() == "tensorflow":
        gc.collect()
        gc.freeze()


class StandIn:
    """A stand-in for a model, enough for a monitor callback; it keeps the weights that were set."""

    def __init__(self, learning_rate=0.1):
        self.stop_training = False
        self.metrics = []
        self.weights = None
        self.saved = []
        self.optimizer = type("Optimizer", (), {"learning_rate": learning_rate})()

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(os.path.basename(path))  # it may be on the way to its place

    save_weights = save


@pytest.fixture
def stand_in():
    return StandIn


@pytest.fixture
def data():
    """Sixty samples of four features, and two classes that depend on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


@pytest.fixture
def make_model():
    def make(metrics=("accuracy",), **compile_options):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
        options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **compile_options}
        model.compile(metrics=list(metrics), **options)
        return model

    return make
