"""Objects that fitwatch 0.1.0 has pickled, before its private modules were laid out in packages.

`pickles_0_1_0.json` has one per class and form: made after three epochs of `fit()` with
`fitwatch.enabled()` on JAX, without its model.
"""

import base64
import copy
import json
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

PICKLES = json.loads(Path(__file__).with_name("pickles_0_1_0.json").read_text())


def load(name):
    return pickle.loads(base64.b64decode(PICKLES[name]["pickle"]))


# Classes that 0.1.0 did not have.
NEW = {
    "BlockLogger",
    "GradientMonitor",
    "LearningRateMonitor",
    "MLflowLogger",
    "MemoryMonitor",
    "SpikeDetection",
    "ThroughputMonitor",
    "Validation",
    "WandbLogger",
}


def test_every_class_of_ours_is_here():
    ours = {
        name
        for name in callbacks.__all__
        if getattr(callbacks, name).__module__.startswith("fitwatch.")
    }
    assert {name.partition(",")[0] for name in PICKLES} == ours - {"CallbackList"} - NEW


@pytest.mark.parametrize("name", PICKLES)
def test_it_is_what_it_was(name):
    loaded = load(name)
    assert type(loaded) is getattr(callbacks, name.partition(",")[0])
    again = pickle.loads(pickle.dumps(copy.deepcopy(loaded)))
    state = PICKLES[name]["state"]
    if state is not None:
        for callback in (loaded, again):  # later versions have added entries
            now = callback.state_dict()
            assert now | state == now


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("compiled", [True, False])
def test_it_goes_on(name, compiled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(24, 2))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    others = [load(name)]
    if compiled:
        with fitwatch.enabled():
            history = model.fit(x, x.sum(axis=1), epochs=2, verbose=0, callbacks=others)
    else:
        history = model.fit(x, x.sum(axis=1), epochs=2, verbose=0, callbacks=others)
    assert len(history.history["loss"]) >= 1
