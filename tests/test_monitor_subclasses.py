"""Subclasses of the monitors: their overrides are used."""

import copy
import copyreg
import dataclasses

import keras
import pytest
from monitors import begun, each_copy, each_monitor, feed

from fitwatch import callbacks


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
@each_copy
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
