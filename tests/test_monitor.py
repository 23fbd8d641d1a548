"""What EarlyStopping, ModelCheckpoint and ReduceLROnPlateau share."""

import copy
import math

import keras
import numpy as np
import pytest
from keras_versions import since_3_15
from monitors import begun, each_copy, each_monitor, feed
from warned import no_warnings

from fitwatch import callbacks
from fitwatch._keras import backend


@each_monitor
def test_is_the_keras_class(make):
    callback = make()
    assert isinstance(callback, getattr(keras.callbacks, type(callback).__name__))
    assert callback.monitor_op is None
    assert callback.best is None


@each_monitor
@pytest.mark.parametrize(("mode", "worst"), [("min", math.inf), ("max", -math.inf)])
@pytest.mark.parametrize("first", ["nan", "worst"])
def test_what_is_no_improvement_never_becomes_the_best(make, mode, worst, first, stand_in):
    """Keras takes a leading NaN as the best value, and never finds an improvement again."""
    callback = begun(make(mode=mode), stand_in())
    feed(callback, math.nan if first == "nan" else worst)
    assert callback.best is None
    feed(callback, 0.5, first=1)
    assert callback.best == 0.5
    feed(callback, math.nan, worst, first=2)
    assert callback.best == 0.5


@pytest.mark.parametrize("kind", [np.float32, np.float64, keras.ops.convert_to_tensor])
def test_a_nan_of_another_type_never_becomes_the_best(kind, stand_in):
    callback = begun(callbacks.EarlyStopping("loss", patience=9), stand_in())
    feed(callback, kind(math.nan), kind(math.inf))
    assert callback.best is None
    feed(callback, kind(0.5), first=2)
    assert float(callback.best) == 0.5


@each_monitor
def test_a_best_of_nan_is_no_best(make, stand_in):
    callback = begun(make(), stand_in())
    callback.best = math.nan
    feed(callback, 0.5)
    assert callback.best == 0.5


@each_monitor
@pytest.mark.parametrize("mode", ["min", "max"])
def test_monitor_op_reads_as_in_keras(make, mode, stand_in):
    callback = begun(make(mode=mode), stand_in())
    feed(callback, 0.5)
    assert callback.monitor_op is (keras.ops.less if mode == "min" else keras.ops.greater)


@each_monitor
def test_an_unknown_mode_warns_and_means_auto(make):
    with pytest.warns(UserWarning, match="unknown"):
        assert make(mode="smallest").mode == "auto"


@each_monitor
def test_a_direction_that_nobody_knows_is_an_error(make, stand_in):
    callback = make()
    callback.monitor = "speed"
    begun(callback, stand_in())
    with pytest.raises(ValueError, match="speed"):
        callback.on_epoch_end(0, {"speed": 1.0})


@each_monitor
def test_a_missing_metric_is_reported_once_with_the_nearest_name(make, stand_in, tmp_path):
    callback = make(mode="min")
    callback.monitor = "val_acc"
    begun(callback, stand_in())
    with pytest.warns(UserWarning, match="'val_acc' is not available") as caught:
        for epoch in range(3):
            callback.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": 0.5})
    assert len(caught) == 1
    assert "Available metrics: loss, val_accuracy" in str(caught[0].message)
    assert "Nearest: 'val_accuracy'" in str(caught[0].message)
    begun(callback, stand_in())
    with pytest.warns(UserWarning, match="not available"):
        callback.on_epoch_end(0, {"loss": 1.0})


@each_monitor
@each_copy
def test_copies_keep_the_numbers_and_share_none(make, copied, stand_in):
    original = begun(make(), stand_in())
    feed(original, 0.5, 0.6)
    original._model = None
    twin = copied(original)
    before = {n: getattr(original, n) for n in ("best", "min_delta", "monitor_op", "monitor")}
    assert {name: getattr(twin, name) for name in before} == before
    assert getattr(twin, "wait", 0) == getattr(original, "wait", 0)
    twin.set_model(stand_in())
    feed(twin, 0.1, first=2)
    assert twin.best == 0.1
    assert original.best == 0.5


@each_monitor
def test_a_best_of_any_type_survives_a_copy(make):
    original = make()
    original.best = np.float64(0.25)
    twin = copy.deepcopy(original)
    assert type(twin.best) is np.float64
    assert twin.best == 0.25


def test_public_numbers_can_be_assigned(stand_in):
    stopper = begun(callbacks.EarlyStopping("loss", patience=5), stand_in())
    stopper.best, stopper.wait, stopper.patience, stopper.baseline = 0.3, 1, 2, 0.9
    feed(stopper, 0.4)
    assert (stopper.best, stopper.wait) == (0.3, 2)
    feed(stopper, 0.4, first=1)
    assert stopper._model.stop_training

    reduce = begun(callbacks.ReduceLROnPlateau("loss", patience=1), stand_in())
    reduce.best, reduce.cooldown_counter, reduce.factor = 0.3, 2, 0.5
    feed(reduce, 0.4)
    assert (reduce.cooldown_counter, reduce._model.optimizer.learning_rate) == (1, 0.1)
    feed(reduce, 0.4, 0.4, first=1)
    assert reduce._model.optimizer.learning_rate == 0.025


@pytest.mark.parametrize("value", [4.0, np.float64(4), np.int32(4)])
def test_whole_numbers_of_any_type_can_be_assigned(value):
    stopper = callbacks.EarlyStopping("loss")
    stopper.patience = stopper.wait = stopper.start_from_epoch = value
    assert (stopper.patience, stopper.wait, stopper.start_from_epoch) == (4, 4, 4)
    stopper.wait = -2  # a grace period
    assert stopper.wait == -2


def test_what_the_core_cannot_hold_is_kept_and_decided_on_as_in_keras(stand_in):
    states = []
    for module in (callbacks, keras.callbacks):
        stopper = begun(module.EarlyStopping("loss"), stand_in())
        stopper.patience, stopper.stopped_epoch = 2.5, None
        feed(stopper, 0.5, 0.6, 0.6, 0.6)
        reduce = begun(module.ReduceLROnPlateau("loss", patience=1), stand_in())
        reduce.cooldown = 1.5
        feed(reduce, 0.5, 0.6, 0.6, 0.6)
        states.append((stopper.patience, stopper.stopped_epoch, stopper.wait))
        states[-1] += (reduce.cooldown_counter, reduce._model.optimizer.learning_rate)
    assert states[0] == states[1]
    stopper.patience = 1
    assert stopper.patience == 1


def test_patience_beyond_any_counter_is_endless():
    for patience in (10**30, 1e30, math.inf, 2**63):
        assert callbacks.EarlyStopping("loss", patience=patience).patience == math.inf
    assert callbacks.EarlyStopping("loss", patience=2**62).patience == 2**62


def test_a_state_that_is_none_is_refused():
    core = callbacks.EarlyStopping("loss")._fitwatch.core
    _, _, state = core.__reduce__()
    for wrong in (b"", b"\xff", state[:-1], b"\x01" + state[1:]):
        with pytest.raises(ValueError, match="not a state of this class"):
            core.__setstate__(wrong)
    core.__setstate__(state)


@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
@since_3_15
def test_a_second_training_starts_over_as_in_keras(kind, stand_in):
    states = []
    for module in (callbacks, keras.callbacks):
        state = []
        for cls in (module.EarlyStopping, module.ReduceLROnPlateau):
            callback = cls("loss", patience=2)
            for series in ([0.5, 0.4, 0.6, 0.6], [0.9, 0.8, 0.8, 0.8, 0.8]):
                begun(callback, stand_in())
                feed(callback, *map(kind, series))
                model = callback._model
                state.append((callback.best, callback.wait, model.stop_training))
                state.append(model.optimizer.learning_rate)
        states.append(state)
    assert states[0] == states[1]


def test_a_loop_of_ones_own_may_set_the_model_late_or_change_it(stand_in):
    stopper = callbacks.EarlyStopping("loss", patience=1)
    stopper.on_train_begin()
    first, second = stand_in(), stand_in()
    stopper.set_model(first)
    stopper.on_test_begin()
    stopper.on_test_end({})
    feed(stopper, 0.5)
    stopper.set_model(second)
    stopper.on_test_begin()
    stopper.on_test_end({})
    feed(stopper, 0.5, first=1)
    assert (first.stop_training, second.stop_training) == (False, True)


def test_a_nested_evaluate_disturbs_nothing(make_model, data, tmp_path):
    """Keras leaves `params` and `model` of the evaluation behind."""
    monitors = [
        callbacks.EarlyStopping("loss", patience=3),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.ModelCheckpoint(tmp_path / "best.keras", "loss", save_best_only=True),
        callbacks.TensorBoard(tmp_path / "logs"),
        callbacks.LossHistory(),
    ]
    other = make_model()
    seen = []

    class Evaluates(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for model in (self.model, other):
                model.evaluate(*data, verbose=0, callbacks=monitors)
            seen.append([(m.params["epochs"], m._model is self._model) for m in monitors])

    model = make_model()
    with no_warnings():
        model.fit(*data, epochs=3, verbose=0, callbacks=[Evaluates(), *monitors])
    assert seen == [[(3, True)] * len(monitors)] * 3
    assert len(monitors[-1].losses) == 3 * 2
    assert monitors[0].best_epoch == 2


def test_the_precision_of_a_fit_is_that_of_its_settings():
    """Each of them may change between two fits."""

    def is_tested():
        return backend.comparison() == backend._comparison.__wrapped__()

    before = keras.config.floatx()
    try:
        for floatx in ("float64", before, "float64"):
            keras.config.set_floatx(floatx)
            assert is_tested()
        if keras.config.backend() == "jax":
            import jax

            with jax.enable_x64(True):
                assert backend.comparison()[0]
            assert not backend.comparison()[0]
        if keras.config.backend() == "torch":
            import torch

            assert torch.set_flush_denormal(True)
            assert backend.comparison() == (True, True)
            torch.set_flush_denormal(False)
            assert backend.comparison() == (True, False)
    finally:
        keras.config.set_floatx(before)
    assert is_tested()
