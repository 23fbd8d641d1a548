"""What EarlyStopping, ModelCheckpoint and ReduceLROnPlateau share."""

import copy
import copyreg
import dataclasses
import math
import pickle
import warnings

import keras
import numpy as np
import pytest

from fitwatch import callbacks

MAKERS = {
    "EarlyStopping": lambda **options: callbacks.EarlyStopping(monitor="loss", **options),
    "ReduceLROnPlateau": lambda **options: callbacks.ReduceLROnPlateau(monitor="loss", **options),
    "ModelCheckpoint": lambda **options: callbacks.ModelCheckpoint(
        "best.keras", monitor="loss", save_best_only=True, **options
    ),
}
each_monitor = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def begun(callback, model):
    callback.set_model(model)
    callback.on_train_begin()
    return callback


def feed(callback, *values, first=0):
    for epoch, value in enumerate(values, first):
        callback.on_epoch_end(epoch, {"loss": value})


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
    """Keras takes a NaN that comes first as its best, and never sees an improvement again."""
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
def test_a_subclass_decides_by_its_own_is_improvement(make, stand_in):
    base = type(make())

    class Contrary(base):
        asked = ()

        def _is_improvement(self, monitor_value, reference_value):
            self.asked = (*self.asked, (monitor_value, reference_value))
            return reference_value is None or monitor_value > reference_value

    callback = make()
    callback.__class__ = Contrary
    begun(callback, stand_in())
    feed(callback, 0.5, 0.7, 0.6)
    assert callback.best == 0.7
    assert callback.asked == ((0.5, None), (0.7, 0.5), (0.6, 0.7))


@each_monitor
def test_another_monitor_op_decides(make, stand_in):
    callback = begun(make(), stand_in())
    callback.monitor_op = lambda a, b: abs(a) < abs(b)
    feed(callback, -0.5, -0.7, 0.4)
    assert callback.best == 0.4
    assert callback.min_delta >= 0  # Keras turns the sign only when it picks the op itself


def test_get_monitor_value_can_be_overridden(stand_in):
    class Sum(callbacks.EarlyStopping):
        def get_monitor_value(self, logs):
            return logs["loss"] + logs["val_loss"]

    callback = begun(Sum("loss", patience=1), stand_in())
    for epoch, (loss, val_loss) in enumerate([(0.5, 0.5), (0.4, 0.7)]):
        callback.on_epoch_end(epoch, {"loss": loss, "val_loss": val_loss})
    assert (callback.best, callback.stopped_epoch) == (1.0, 1)


@each_monitor
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda callback: pickle.loads(pickle.dumps(callback))],
    ids=["copy", "deepcopy", "pickle"],
)
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


def test_a_subclass_may_redefine_an_attribute(stand_in):
    states = []
    for module in (callbacks, keras.callbacks):

        @dataclasses.dataclass(eq=False)
        class Stops(module.EarlyStopping):
            patience: int = 3
            base = module.EarlyStopping

            def __post_init__(self):
                self.base.__init__(self, "loss", patience=self.patience)

        class Reduces(module.ReduceLROnPlateau):
            factor = 0.5

            def __init__(self, base=module.ReduceLROnPlateau):
                base.__init__(self, "loss", patience=1, factor=0.5)

        class Saves(module.ModelCheckpoint):
            min_delta = 0.25

        stopper, reduce = begun(Stops(), stand_in()), begun(Reduces(), stand_in())
        saves = begun(Saves("{epoch}.keras", "loss", save_best_only=True), stand_in())
        for callback in (stopper, reduce, saves):
            feed(callback, 1.0, 2.0, 0.9, 3.0, 4.0, 5.0)
        states.append((stopper.stopped_epoch, reduce._model.optimizer.learning_rate))
        states[-1] += (saves._model.saved,)
    assert states[0] == states[1]


def test_a_subclass_may_leave_out_the_name_of_the_optimizer(stand_in):
    class Reduces(callbacks.ReduceLROnPlateau):
        def _reduce_optimizer_lr(self, optimizer, epoch):
            return super()._reduce_optimizer_lr(optimizer, epoch)

    reduce = begun(Reduces("loss", patience=1), stand_in())
    feed(reduce, 1.0, 1.0)
    assert reduce._model.optimizer.learning_rate == pytest.approx(0.01)


def test_a_subclass_may_have_slots_and_another_base_with_a_new(stand_in):
    class Named:
        def __new__(cls, *args, name, **kwargs):
            self = super().__new__(cls)
            self.name = name
            return self

    class Slotted(callbacks.EarlyStopping, Named):
        __slots__ = ("extra",)

        def __init__(self, name):
            super().__init__("loss")

        def __reduce_ex__(self, protocol):
            return (
                copyreg.__newobj_ex__,
                (type(self), (), {"name": self.name}),
                self.__getstate__(),
            )

    original = Slotted(name="first")
    original.extra = 7
    twin = copy.copy(original)
    assert (twin.name, twin.extra, twin.monitor) == ("first", 7, "loss")


def test_a_method_without_a_module_counts_as_overridden(stand_in):
    namespace = {"__name__": None}
    exec("def worse(self, value, reference): return reference is None", namespace)
    odd = type("Odd", (callbacks.EarlyStopping,), {"_is_improvement": namespace["worse"]})
    callback = begun(odd("loss"), stand_in())
    feed(callback, 0.5, 0.1)
    assert callback.best == 0.5


def test_patience_beyond_any_counter_is_endless():
    for patience in (10**30, 1e30, math.inf, 2**63):
        assert callbacks.EarlyStopping("loss", patience=patience).patience == math.inf
    assert callbacks.EarlyStopping("loss", patience=2**62).patience == 2**62


@each_monitor
def test_attributes_may_be_assigned_before_the_base_is_initialised(make):
    base = type(make())

    class Early(base):
        def __init__(self, *args, **kwargs):
            self.min_delta = 3
            getattr(keras.callbacks, base.__name__).__init__(self, *args, **kwargs)

    arguments = ["x.keras"] if base is callbacks.ModelCheckpoint else []
    assert Early(*arguments, monitor="loss").monitor == "loss"


@each_monitor
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda callback: pickle.loads(pickle.dumps(callback))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_subclass_may_have_its_own_getstate(make, copied, stand_in):
    original = make()
    original.__class__ = {
        callbacks.EarlyStopping: WithoutModel,
        callbacks.ReduceLROnPlateau: ReduceWithoutModel,
        callbacks.ModelCheckpoint: SaveWithoutModel,
    }[type(original)]
    begun(original, stand_in())
    feed(original, 0.5)
    twin = copied(original)
    twin.set_model(stand_in())
    feed(twin, 0.1, first=1)
    assert (twin.best, original.best) == (0.1, 0.5)


class DropsModel:
    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_model")
        return state


class WithoutModel(DropsModel, callbacks.EarlyStopping):
    pass


class ReduceWithoutModel(DropsModel, callbacks.ReduceLROnPlateau):
    pass


class SaveWithoutModel(DropsModel, callbacks.ModelCheckpoint):
    pass


def test_a_state_that_is_none_is_refused():
    core = callbacks.EarlyStopping("loss")._core
    _, _, state = core.__reduce__()
    for wrong in (b"", b"\xff", state[:-1], b"\x02" + state[1:]):
        with pytest.raises(ValueError, match="no state of this class"):
            core.__setstate__(wrong)
    core.__setstate__(state)


def test_an_overridden_rule_sees_what_it_sees_in_keras(stand_in):
    """The counters and the best, at the moment when `_is_improvement` is asked."""
    seen = []
    for module in (callbacks, keras.callbacks):
        now = []

        class Watches(module.EarlyStopping):
            def _is_improvement(self, monitor_value, reference_value, now=now):
                now.append((self.wait, self.best, monitor_value, reference_value))
                return super()._is_improvement(monitor_value, reference_value)

        class WatchesPlateau(module.ReduceLROnPlateau):
            def _is_improvement(self, monitor_value, reference_value, now=now):
                now.append((self.cooldown_counter, self.wait, self.best))
                return super()._is_improvement(monitor_value, reference_value)

        feed(begun(Watches("loss", patience=9, baseline=0.8), stand_in()), 1.0, 0.9, 0.7, 0.7)
        feed(begun(WatchesPlateau("loss", patience=1, cooldown=2), stand_in()), 1.0, 1.0, 1.0, 1.0)
        seen.append(now)
    assert seen[0] == seen[1]


def test_an_overridden_in_cooldown_is_honoured(stand_in):
    rates = []
    for module in (callbacks, keras.callbacks):

        class Restless(module.ReduceLROnPlateau):
            def in_cooldown(self):
                return False

        reduce = begun(Restless("loss", patience=1, cooldown=5), stand_in())
        feed(reduce, 1.0, 1.0, 1.0, 1.0)
        rates.append(reduce._model.optimizer.learning_rate)
    assert rates[0] == rates[1] == pytest.approx(1e-4)


@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
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


def test_a_plateau_may_be_driven_from_a_batch_hook(make_model, data):
    """On JAX the learning rate is one of the variables that live outside the model meanwhile."""

    class ByBatch(callbacks.ReduceLROnPlateau):
        def on_train_batch_end(self, batch, logs=None):
            super().on_epoch_end(batch, dict(logs))

        def on_epoch_end(self, epoch, logs=None):
            pass

    model = make_model()
    reduce = ByBatch("loss", patience=1, min_delta=100, factor=0.5)
    model.fit(*data, batch_size=20, epochs=1, verbose=0, callbacks=[reduce])
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.0025)


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
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(*data, epochs=3, verbose=0, callbacks=[Evaluates(), *monitors])
    assert seen == [[(3, True)] * len(monitors)] * 3
    assert len(monitors[-1].losses) == 3 * 2
    assert monitors[0].best_epoch == 2
