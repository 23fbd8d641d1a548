"""The examples that Keras documents for its callbacks, after `fitwatch.enable()`.

They are taken from the docstrings of the Keras that is installed. The blocks of a docstring share
one namespace, as the cells of a notebook do.
"""

import contextlib
import doctest
import functools
import inspect
import io
import os
import re
import sys
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from keras_versions import since_3_15

import fitwatch
from fitwatch import callbacks

pytestmark = since_3_15  # the examples are others
BACKEND = keras.config.backend()
STOCK = {name: cls for name, cls in vars(keras.callbacks).items() if inspect.isclass(cls)}
WITHOUT_AN_EXAMPLE = {"CallbackList", "ProgbarLogger", "RemoteMonitor"}
DOCUMENTED = {
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
}
NOT_PYTHON = {
    ("Callback", 0),  # the body of its inner loop is not indented
    ("TensorBoard", 0),  # a shell command
}
# Fills in each `...`, moves files to the test's folder, and mends output that looks like input.
FILLED_IN = {
    "processes = ...": "processes = [process]",
    "model.fit(...,": "model.fit(x, y,",
    "loss=..., metrics=...": "loss='mse', metrics=[]",
    "loss=..., optimizer=...": "loss='mse', optimizer='sgd'",
    "ModelCheckpoint(...)": "ModelCheckpoint('ema.weights.h5', save_weights_only=True)",
    "/tmp/": f"{os.curdir}/",
    ">>> 6\n": "6\n",
}
# Features of TensorBoard that only some backends have.
PARTIAL = {"tf.summary": {"tensorflow"}, "profile_batch": {"tensorflow", "jax"}}
# Examples that Keras rejects: targets that do not fit the outputs, a shape that is not a tuple.
MENDED = {
    "History": ("np.zeros(5)", "np.zeros((5, 1))"),
    "LearningRateScheduler": ("np.zeros(5)", "np.zeros((5, 1))"),
}
if BACKEND == "tensorflow":
    MENDED["TensorBoard"] = ("keras.Input(10)", "keras.Input((10,))")
if BACKEND == "jax":
    # After a fit with averaged weights, a second one fails.
    again = "model.compile(SGD(use_ema=True), 'mse')\nmodel.fit(\n"
    MENDED["SwapEMAWeights"] = ("model.fit(\n", again)


def text(name):
    """The docstrings of a class and of its public methods."""
    cls = STOCK[name]
    public = [member for key, member in vars(cls).items() if not key.startswith("_")]
    return "\n\n".join(inspect.getdoc(thing) or "" for thing in [cls, *public] if callable(thing))


def blocks(docstring):
    """The parts of the documentation that are code: doctests as one block, and what is fenced."""
    doctests = doctest.DocTestParser().get_examples(docstring)
    fenced = re.findall(r"^```\w*\n(.*?)^```", docstring, re.MULTILINE | re.DOTALL)
    return doctests, [doctest.Example(source, "") for source in fenced]


def is_python(source):
    try:
        compile(source, "", "exec")
    except SyntaxError:
        return False
    return True


def example(name, mended=True):
    """The code to run: a list of blocks, each with statements and their output."""
    docstring = text(name)
    for placeholder, filling in FILLED_IN.items():
        docstring = docstring.replace(placeholder, filling)
    if mended and name in MENDED:
        docstring = docstring.replace(*MENDED[name])
    doctests, fenced = blocks(docstring)
    runs = [[each] for number, each in enumerate(fenced) if (name, number) not in NOT_PYTHON]
    for part, backends in PARTIAL.items():
        if BACKEND not in backends:
            runs = [block for block in runs if part not in block[0].source]
    return [doctests, *runs] if doctests else runs


def test_every_example_is_run():
    assert {name for name in STOCK if any(blocks(text(name)))} == DOCUMENTED
    assert set(STOCK) == DOCUMENTED | WITHOUT_AN_EXAMPLE
    assert all(example(name) for name in DOCUMENTED)


def test_what_is_not_run_is_not_python():
    fenced = {(name, n): each for name in STOCK for n, each in enumerate(blocks(text(name))[1])}
    assert {key for key, each in fenced.items() if not is_python(each.source)} == NOT_PYTHON


def test_every_placeholder_is_still_there():
    texts = "".join(text(name) for name in STOCK)
    assert [placeholder for placeholder in FILLED_IN if placeholder not in texts] == []


def some_data():
    x = np.random.default_rng(0).normal(size=(48, 10)).astype("float32")
    return x, (x.sum(axis=1, keepdims=True) > 0).astype("int32")


def a_model(**defaults):
    """A compiled model; its `fit` has data and arguments of its own, where none are given."""
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fit = model.fit

    @functools.wraps(fit)
    def with_defaults(*data, **options):
        return fit(*(data or some_data()), **{"batch_size": 2, "verbose": 0, **defaults, **options})

    model.fit = with_defaults
    return model


def assumed(**defaults):
    """The names that the examples take for granted."""
    make = functools.partial(a_model, **defaults)
    x, y = some_data()
    names = {name: getattr(keras.callbacks, name) for name in STOCK}
    names |= {"keras": keras, "layers": keras.layers, "ops": keras.ops, "np": np}
    names |= {"Sequential": keras.Sequential, "SGD": keras.optimizers.SGD}
    names |= {"model": make(), "get_model": make, "process": mock.Mock()}
    names |= {"x": x, "x_train": x, "X_train": x, "y": y, "y_train": y, "Y_train": y}
    if BACKEND == "tensorflow":
        import tensorflow

        names["tf"] = tensorflow
    return names


def run(example, **defaults):
    """Runs the blocks, compares what is documented as their output, returns the namespace."""
    names = {}
    for block in example:
        names.update(assumed(**defaults))
        for statement in block:
            printed = io.StringIO()
            mode = "single" if statement.want else "exec"
            with contextlib.redirect_stdout(printed):
                exec(compile(statement.source, "<example>", mode), names)
            if statement.want:
                assert printed.getvalue() == statement.want, statement.source
    return names


def show(value):
    """Prints a number, or a scalar tensor, as exactly as float32 is."""
    if value is not None:
        print(f"{float(keras.ops.convert_to_numpy(value)):.6g}")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "displayhook", show)
    keras.utils.set_random_seed(0)


@pytest.fixture
def used(monkeypatch):
    """The callbacks of every compiled list that is made."""
    lists = []
    init = callbacks.CallbackList.__init__

    def spy(self, *args, **kwargs):
        init(self, *args, **kwargs)
        lists.append(self)

    monkeypatch.setattr(callbacks.CallbackList, "__init__", spy)
    return lambda: [callback for each in lists for callback in each.callbacks]


# Checks of the effects beyond the documented output.
TRACES = {
    "BackupAndRestore": lambda names: not os.path.exists("backup"),
    "CSVLogger": lambda names: Path("training.log").read_text().startswith("epoch,accuracy,loss"),
    "LambdaCallback": lambda names: names["json_log"].closed and names["process"].terminate.called,
    "ModelCheckpoint": lambda names: len(os.listdir("ckpt")) == 2,
    "OrbaxCheckpoint": lambda names: os.listdir("ckpt"),
    "SwapEMAWeights": lambda names: os.path.exists("ema.weights.h5"),
    "TensorBoard": lambda names: {"train", "validation"} <= set(os.listdir("logs")),
}


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_the_example_runs(name, used):
    if name == "OrbaxCheckpoint":
        pytest.importorskip("orbax.checkpoint")
    ours = getattr(callbacks, name)
    with fitwatch.enabled():
        assert getattr(keras.callbacks, name) is ours
        names = run(example(name), validation_split=0.5)
    assert any(ours in type(callback).__mro__ for callback in used())
    assert TRACES.get(name, lambda names: True)(names)


@pytest.mark.parametrize("name", ["ModelCheckpoint", "ReduceLROnPlateau"])
def test_the_metric_that_it_monitors_may_be_missing(name):
    """As it is in the example: nothing is validated there."""
    with fitwatch.enabled(), pytest.warns(UserWarning, match=r"'val_\w+' is not available"):
        run(example(name))


@pytest.mark.parametrize("name", sorted(MENDED))
def test_what_is_mended_fails_in_keras_too(name):
    with pytest.raises(Exception, match=r"shape|size of tensor|not callable"):
        run(example(name, mended=False))
