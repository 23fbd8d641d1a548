"""Many fits in one process: nothing of a fit stays when it has ended."""

import gc
import os
import subprocess
import sys
import weakref
from collections import Counter

import keras
import pytest

from fitwatch import callbacks

BACKEND = keras.config.backend()
FITS = int(os.environ.get("FITWATCH_FITS", 300 if BACKEND == "jax" else 60))


# What other tests have left in the process grows and shrinks.
ALONE = "FITWATCH_MANY_FITS"
alone = pytest.mark.skipif(ALONE not in os.environ, reason="runs in a process of its own")


def test_in_a_process_of_its_own():
    if ALONE in os.environ:
        pytest.skip("this is that process")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = os.environ | {ALONE: "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout


def everything(folder):
    return [
        callbacks.EarlyStopping("loss", patience=10**6),
        callbacks.ReduceLROnPlateau("loss", patience=10**6),
        callbacks.CSVLogger(folder / "log.csv", update_freq="batch"),
        callbacks.ModelCheckpoint(folder / "x.weights.h5", save_weights_only=True, save_freq=10**6),
        callbacks.TensorBoard(folder / "logs", update_freq="batch", write_graph=False),
        callbacks.TerminateOnNaN(),
        callbacks.LossHistory(),
        callbacks.ProgbarLogger(),
    ]


def fit(model, data, folder):
    """Trains with everything on; returns weak references to what the fit has made."""
    callback_list = callbacks.CallbackList(everything(folder), add_history=True, model=model)
    model.fit(*data, callbacks=callback_list, verbose=0)
    return [weakref.ref(each) for each in (callback_list, *callback_list.callbacks)]


def held():
    """The objects of the interpreter by type, and what the process holds of the system."""
    gc.collect()
    types = Counter(type(each) for each in gc.get_objects())
    if sys.platform != "linux":
        return types, 0, 0
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return types, memory, sum(len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task"))


@alone
def test_fits_of_one_model(make_model, data, tmp_path):
    model = make_model()
    for _ in range(FITS // 5):
        fit(model, data, tmp_path)
    held()  # fills caches too
    types, memory, handles = held()
    for _ in range(FITS):
        fit(model, data, tmp_path)
    types_then, memory_then, handles_then = held()
    grown = {kind: count for kind, count in (types_then - types).items() if count > FITS // 10}
    assert grown == {}
    assert handles_then - handles < FITS // 10
    assert memory_then - memory < FITS * 2**14  # a buffer of one file is larger


@alone
def test_fits_of_new_models(make_model, data, tmp_path):
    made = []
    for _ in range(5):
        model = make_model()
        made += [weakref.ref(model), *fit(model, data, tmp_path)]
    del model
    gc.collect()
    assert [each() for each in made if each() is not None] == []
