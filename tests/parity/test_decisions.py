"""The same series through Keras's callback and ours: the same decision at every epoch.

The series have near ties, steps around `min_delta`, infinities and NaNs. The only cases left out
are intended differences: a NaN or the worst infinity before there is a best value, which
`tests/test_*.py` cover.
"""

import math
import os

import keras
import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fitwatch import callbacks

# In CI fewer than in `make test-parity`.
COUNT = int(os.environ.get("FITWATCH_SERIES", "1500"))
SERIES = settings(
    max_examples=COUNT,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

min_deltas = st.sampled_from([0, 0.1, -0.1, 1e-3, 1e-4, 1e-7, 1e-9, 1e-40, 0.3])
modes = st.sampled_from(["auto", "min", "max"])
references = st.none() | st.sampled_from([0.5, 0.1, 0, -0.2, 1e-40, math.inf, -math.inf])
special = st.sampled_from([math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-40, -1e-40, 1e-320, 3e38])
jumps = st.tuples(st.integers(-3, 3), st.integers(-2, 2), st.booleans())


@st.composite
def runs(draw, policy_options):
    """A policy's options, and a series of values around steps of its `min_delta`."""
    options = {name: draw(values) for name, values in policy_options.items()}
    base = draw(st.sampled_from([0.5, 0.7, 1e-3, -0.2, 1.44]))
    delta = abs(options.get("min_delta", 0.1))
    series = []
    for value in draw(st.lists(jumps | jumps | jumps | special, min_size=1, max_size=10)):
        if isinstance(value, tuple):
            steps, nudges, single = value
            value = base + steps * delta
            for _ in range(abs(nudges)):
                kind = np.float32 if single else np.float64
                value = float(np.nextafter(kind(value), kind(math.copysign(math.inf, nudges))))
        series.append(value)
    return options, series


def counts_as_first(series, mode, start, reference=None):
    """Whether the first value that is looked at can be a best."""
    worst = -math.inf if mode == "max" else math.inf
    if reference is not None or len(series) <= start:
        return True
    return not (math.isnan(series[start]) or series[start] == worst)


def same(ours, theirs):
    return ours == theirs or (ours != ours and theirs != theirs)


EARLY_STOPPING = {
    "min_delta": min_deltas,
    "patience": st.integers(0, 4),
    "mode": modes,
    "baseline": references,
    "restore_best_weights": st.booleans(),
    "start_from_epoch": st.integers(0, 3),
}


@SERIES
@given(run=runs(EARLY_STOPPING))
def test_early_stopping(run, stand_in):
    options, series = run
    assume(counts_as_first(series, options["mode"], options["start_from_epoch"]))
    pair = [
        module.EarlyStopping(monitor="loss", **options) for module in (callbacks, keras.callbacks)
    ]
    for callback in pair:
        callback.set_model(stand_in())
        callback.on_train_begin()
    for epoch, value in enumerate(series):
        for callback in pair:
            callback._model.weights = epoch
            callback.on_epoch_end(epoch, {"loss": value})
        states = [
            (
                callback._model.stop_training,
                callback.wait,
                callback.best,
                callback.best_epoch,
                callback.best_weights,
                callback.stopped_epoch,
                callback.min_delta,
            )
            for callback in pair
        ]
        assert states[0] == states[1], f"epoch {epoch}"
        if pair[0]._model.stop_training:
            break


PLATEAU = {
    "min_delta": min_deltas,
    "patience": st.integers(0, 3),
    "mode": modes,
    "cooldown": st.integers(0, 3),
    "factor": st.sampled_from([0.1, 0.5, 0.99]),
    "min_lr": st.sampled_from([0, 0.01, 0.005, 0.05]),
}


@SERIES
@given(run=runs(PLATEAU))
def test_reduce_lr_on_plateau(run, stand_in):
    options, series = run
    assume(counts_as_first(series, options["mode"], 0))
    pair = [
        module.ReduceLROnPlateau(monitor="loss", **options)
        for module in (callbacks, keras.callbacks)
    ]
    for callback in pair:
        callback.set_model(stand_in())
        callback.on_train_begin()
    for epoch, value in enumerate(series):
        logs = [{"loss": value}, {"loss": value}]
        for callback, its_logs in zip(pair, logs, strict=True):
            callback.on_epoch_end(epoch, its_logs)
        states = [
            (
                callback._model.optimizer.learning_rate,
                callback.wait,
                callback.best,
                callback.cooldown_counter,
                callback.in_cooldown(),
                its_logs["learning_rate"],
            )
            for callback, its_logs in zip(pair, logs, strict=True)
        ]
        assert states[0] == states[1], f"epoch {epoch}"


CHECKPOINT = {"mode": modes, "initial_value_threshold": references}


@SERIES
@given(run=runs(CHECKPOINT))
def test_model_checkpoint(run, stand_in):
    options, series = run
    assume(counts_as_first(series, options["mode"], 0, options["initial_value_threshold"]))
    pair = [
        module.ModelCheckpoint("{epoch}.keras", monitor="loss", save_best_only=True, **options)
        for module in (callbacks, keras.callbacks)
    ]
    for callback in pair:
        callback.set_model(stand_in())
    for epoch, value in enumerate(series):
        for callback in pair:
            callback.on_epoch_end(epoch, {"loss": value})
        ours, theirs = pair
        assert ours._model.saved == theirs._model.saved, f"epoch {epoch}"
        assert same(ours.best, theirs.best), f"epoch {epoch}"


@settings(SERIES, max_examples=COUNT // 20)
@given(
    run=runs({"min_delta": min_deltas, "patience": st.integers(0, 2), "mode": modes}),
    kinds=st.lists(
        st.sampled_from([float, np.float64, np.float32, np.float16, keras.ops.convert_to_tensor]),
        min_size=10,
        max_size=10,
    ),
)
def test_values_of_other_types(run, kinds, stand_in):
    """A callback driven by hand gets NumPy scalars and tensors, which compare in their own type."""
    options, series = run
    assume(all(math.isfinite(value) and abs(value) < 1e4 for value in series))
    series = [kind(value) for kind, value in zip(kinds, series, strict=False)]
    pair = [
        module.EarlyStopping(monitor="loss", **options) for module in (callbacks, keras.callbacks)
    ]
    for callback in pair:
        callback.set_model(stand_in())
        callback.on_train_begin()
    for epoch, value in enumerate(series):
        for callback in pair:
            callback.on_epoch_end(epoch, {"loss": value})
        ours, theirs = pair
        assert (ours.wait, ours.best_epoch) == (theirs.wait, theirs.best_epoch), f"epoch {epoch}"
        assert ours.best is theirs.best or ours.best == theirs.best
        if ours._model.stop_training:
            break
