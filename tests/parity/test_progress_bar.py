"""Random runs through Keras's ProgbarLogger and ours, with the same clock: the same text."""

import io
import math
import sys

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_versions import since_3_15

from fitwatch import callbacks


class Terminal(io.StringIO):
    def isatty(self):
        return True


pauses = st.sampled_from([0.0, 1e-5, 0.002, 0.03, 0.0501, 0.4, 1.5, 70.0, 4000.0])
numbers = st.sampled_from([0.0, 1e-3, 0.00123, -5e-4, math.nan, math.inf, -math.inf]) | st.floats(
    -1e6, 1e6
)
logs = st.fixed_dictionaries({"loss": numbers}, optional={"mae": numbers, "añ": numbers})
batches = st.lists(st.tuples(pauses, logs), max_size=12)
epochs = st.lists(st.tuples(batches, pauses, logs), min_size=1, max_size=3)


@settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    epochs=epochs,
    verbose=st.sampled_from([0, 1, 1, 1, 2, "auto"]),
    steps=st.sampled_from([None, 0, 1, 10, 12, 100, 5000]),
    stride=st.sampled_from([1, 1, 3]),
)
@since_3_15
def test_random_runs(epochs, verbose, steps, stride, monkeypatch):
    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            now = 1_700_000_000.0
            patch.setattr("time.time", lambda: now)  # noqa: B023 (the one that is going on)
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            logger = module.ProgbarLogger()
            logger.set_params({"verbose": verbose, "epochs": len(epochs), "steps": steps})
            logger.on_train_begin()
            for epoch, (batches, pause, last) in enumerate(epochs):
                logger.on_epoch_begin(epoch)
                for batch, (pause_before, logs) in enumerate(batches):
                    now += pause_before
                    logger.on_train_batch_end((batch + 1) * stride - 1, logs)
                now += pause
                logger.on_epoch_end(epoch, last)
            printed.append(terminal.getvalue())
            assert logger.seen == len(batches) * stride
    assert printed[0] == printed[1]


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_evaluation_and_prediction(verbose, monkeypatch):
    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            patch.setattr("time.time", lambda: 1_700_000_000.0)
            logger = module.ProgbarLogger()
            for kind in ("test", "predict"):
                logger.set_params({"verbose": verbose, "epochs": 1, "steps": 3})
                getattr(logger, f"on_{kind}_begin")()
                for batch in range(3):
                    getattr(logger, f"on_{kind}_batch_end")(batch, {"loss": batch / 3})
                getattr(logger, f"on_{kind}_end")({"loss": 0.5})
            printed.append(terminal.getvalue())
    assert printed[0] == printed[1]
    assert bool(printed[0]) == bool(verbose)
