"""LearningRateScheduler, and optimizers without a single rate or with one that cannot be set."""

import contextlib
import dataclasses
import functools
import math
import threading

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

BOTH = [callbacks, keras.callbacks]


@pytest.fixture(params=[True, False], ids=["compiled", "stock list"])
def on(request):
    return fitwatch.enabled if request.param else contextlib.nullcontext


def small_model(optimizer, *, built=False):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(1, name="b")]
    )
    model.compile(optimizer, "mse")
    if built:
        model.optimizer.build(model.trainable_variables)
    return model


def several(*, schedule=False):
    """Two optimizers in one, under names of their own."""
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("Keras has a MultiOptimizer since 3.15")
    rate = keras.optimizers.schedules.ExponentialDecay(0.2, 10, 0.5) if schedule else 0.2
    by_layer = {
        "a": keras.optimizers.SGD(0.1, name="first"),
        "b": keras.optimizers.Adam(rate, name="second"),
    }
    return keras.optimizers.MultiOptimizer(lambda variable: by_layer[variable.path.split("/")[-2]])


OPTIMIZERS = {
    "one": lambda: keras.optimizers.SGD(0.1),
    "several": several,
    "loss-scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
}

x = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
y = x.sum(axis=1, keepdims=True)
FIT = {"x": x, "y": y, "batch_size": 4, "shuffle": False, "verbose": 0}

SCHEDULES = {
    "of the epoch": lambda epoch: 0.1 / (1 + epoch),
    "of epoch and rate": lambda epoch, rate: rate * 0.9,
    "a NumPy scalar": lambda epoch, rate: np.float32(0.1) / np.float32(1 + epoch),
    "with a default": lambda epoch, rate=5.0: rate / 2,
    "partial": functools.partial(lambda base, epoch: base / (1 + epoch), 0.03),
    "a schedule of Keras's": lambda epoch: float(
        keras.ops.convert_to_numpy(keras.optimizers.schedules.CosineDecay(0.1, 10)(epoch))
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_rates_history_and_messages_are_those_of_keras(schedule, optimizer, capsys):
    found = []
    for module in BOTH:
        scheduler = module.LearningRateScheduler(schedule, verbose=1)
        history = small_model(optimizer(), built=True).fit(**FIT, epochs=4, callbacks=[scheduler])
        found.append((history.history, capsys.readouterr().out))
    assert found[0] == found[1]
    assert "Epoch 4: LearningRateScheduler setting" in found[0][1]
    assert sum(name.startswith("learning_rate") for name in found[0][0]) in (1, 2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_plateau_reduces_what_keras_reduces(optimizer, capsys):
    found = []
    for module in BOTH:
        plateau = module.ReduceLROnPlateau("loss", patience=1, min_delta=10, verbose=1, cooldown=1)
        history = small_model(optimizer()).fit(**FIT, epochs=6, callbacks=[plateau])
        found.append((history.history, capsys.readouterr().out))
    assert found[0] == found[1]
    assert "ReduceLROnPlateau reducing" in found[0][1]


def test_several_optimizers_have_the_rate_of_the_first_epoch(on):
    """Also where Keras makes them with the first step."""
    scheduler = callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch))
    with on():
        history = small_model(several()).fit(**FIT, epochs=2, callbacks=[scheduler]).history
    assert history["learning_rate_first"] == history["learning_rate_second"] == [0.5, 0.25]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
        lambda: keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
        ),
        lambda: several(schedule=True),
    ],
    ids=["one", "loss-scaled", "one of several"],
)
@pytest.mark.parametrize("unit", ["epoch", "batch", None])
def test_a_rate_that_cannot_be_set(on, optimizer, unit):
    """A warning when training begins; Keras's error when the rate is to be set."""
    if unit is None:
        callback = callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10)
    else:
        callback = callbacks.LearningRateScheduler(lambda step, rate: rate / 2, unit=unit)
    trained = []
    count = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: trained.append(epoch))
    name = type(callback).__name__
    with (
        on(),
        pytest.warns(UserWarning, match=f"{name}: the optimizer has a Learn") as warned,
        pytest.raises(TypeError, match="created with a `LearningRateSchedule`"),
    ):
        small_model(optimizer()).fit(**FIT, epochs=5, callbacks=[count, callback])
    assert len([w for w in warned if name in str(w.message)]) == 1
    assert trained == ([] if unit else [0, 1])


@pytest.mark.parametrize("steps_per_execution", [1, 4])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_rate_for_every_batch(on, optimizer, steps_per_execution):
    """Trained by hand, with the same rates, the weights are the same."""
    if steps_per_execution > 1 and keras.config.backend() == "torch":
        pytest.skip("Keras has no steps_per_execution on torch")
    asked = []

    def schedule(step, rate):
        asked.append((step, rate))
        return 0.01 * (step + 1)

    model = small_model(optimizer())
    model.compile(model.optimizer, "mse", steps_per_execution=steps_per_execution)
    scheduler = callbacks.LearningRateScheduler(schedule, unit="batch")
    with on():
        history = model.fit(**FIT, epochs=2, callbacks=[scheduler])
    each = 2 if optimizer is several else 1
    steps = [step for step in range(12) if step % 6 % steps_per_execution == 0]
    assert [step for step, _ in asked] == [step for step in steps for _ in range(each)]
    rates = [rate for _, rate in asked[each:]]
    expected = [0.01 * (step + 1) for step in steps[:-1] for _ in range(each)]
    assert rates == pytest.approx(expected)
    logged = [values for name, values in history.history.items() if "learning_rate" in name]
    assert all(values[-1] == pytest.approx(0.01 * (steps[-1] + 1)) for values in logged)

    by_hand = small_model(optimizer(), built=True)
    for step in range(12):
        rate = 0.01 * (max(s for s in steps if s <= step) + 1)
        for inner in getattr(by_hand.optimizer, "optimizers", [by_hand.optimizer]):
            inner.learning_rate = rate
        batch = slice(step % 6 * 4, step % 6 * 4 + 4)
        by_hand.train_on_batch(x[batch], y[batch])
    for ours, theirs in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_another_callback_that_changes_the_rate_is_seen(on):
    """In the middle of an epoch: the next batch's schedule gets that rate."""

    class Halves(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.optimizer.learning_rate = 0.5

    asked = []

    def schedule(step, rate):
        asked.append(rate)
        return rate * 0.9

    scheduler = callbacks.LearningRateScheduler(schedule, unit="batch")
    with on():
        small_model("sgd").fit(**FIT, epochs=1, callbacks=[scheduler, Halves()])
    assert asked == pytest.approx([0.01, 0.009, 0.0081, 0.5, 0.45, 0.405])


def test_the_steps_of_a_second_fit_start_at_0():
    asked = []
    scheduler = callbacks.LearningRateScheduler(
        lambda step: asked.append(step) or 0.1, unit="batch"
    )
    for _ in range(2):
        small_model("sgd").fit(**FIT, epochs=1, callbacks=[scheduler])
    assert asked == [*range(6)] * 2
    assert scheduler.step == 6


def test_a_rate_for_every_batch_is_reported_once_an_epoch(capsys):
    scheduler = callbacks.LearningRateScheduler(lambda step: 0.5, verbose=1, unit="batch")
    small_model("sgd").fit(**FIT, epochs=2, callbacks=[scheduler])
    lines = [
        f"\nStep {step}: LearningRateScheduler setting learning rate to 0.5.\n" for step in (0, 6)
    ]
    assert capsys.readouterr().out == "".join(lines)


@pytest.mark.parametrize(
    "bad",
    [None, "0.1", math.nan, math.inf, -0.1, True, np.nan, np.array([0.1]), [0.1], {}],
    ids=repr,
)
@pytest.mark.parametrize("unit", ["epoch", "batch"])
def test_what_is_no_rate(on, unit, bad):
    scheduler = callbacks.LearningRateScheduler(
        lambda step, rate: bad if step == 1 else rate, unit=unit
    )
    what = {"epoch": "epoch", "batch": "step"}[unit]
    pattern = rf"schedule must return a finite number of 0 or more; for {what} 1 it returned "
    with on(), pytest.raises(ValueError, match=pattern) as error:
        small_model("sgd").fit(**FIT, epochs=2, callbacks=[scheduler])
    assert repr(bad) in str(error.value)


@pytest.mark.parametrize("unit", ["epoch", "batch"])
def test_numbers_of_other_types_are_rates(unit):
    for rate in (0, 1, np.float64(0.25), np.array(0.25), keras.ops.convert_to_tensor(0.25)):
        scheduler = callbacks.LearningRateScheduler(lambda step: rate, unit=unit)  # noqa: B023
        history = small_model("sgd").fit(**FIT, epochs=1, callbacks=[scheduler])
        assert history.history["learning_rate"] == [float(rate)]


def test_a_type_error_inside_a_schedule_is_not_hidden():
    def schedule(epoch, rate):
        return rate + "a slip"

    with pytest.raises(TypeError, match="unsupported operand"):
        small_model("sgd").fit(
            **FIT, epochs=1, callbacks=[callbacks.LearningRateScheduler(schedule)]
        )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"schedule": 0.1}, TypeError, "schedule must be a function"),
        ({"schedule": min, "unit": "step"}, ValueError, "unit must be 'epoch' or 'batch'"),
        ({"schedule": min, "verbose": "yes"}, TypeError, "verbose must be"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        callbacks.LearningRateScheduler(**arguments)


def test_a_schedule_of_epochs_has_no_batch_hooks():
    """It adds no hook to a compiled list, and Keras's own list may stay asynchronous."""
    scheduler = callbacks.LearningRateScheduler(lambda epoch: 0.1)
    callback_list = callbacks.CallbackList([scheduler])
    assert callback_list._plan("on_train_batch_begin") == []
    assert callback_list._plan("on_train_batch_end") == []
    assert scheduler.async_safe
    assert not callbacks.LearningRateScheduler(lambda step: 0.1, unit="batch").async_safe


@dataclasses.dataclass
class Decay:
    base: float

    def __call__(self, epoch, rate):
        return self.base / (1 + epoch)


def decorated():
    def schedule(epoch):
        return 0.1 / (1 + epoch)

    @functools.wraps(schedule)
    def wrapper(epoch, rate):
        return schedule(epoch)

    return wrapper


@pytest.mark.parametrize("schedule", [Decay(0.1), decorated()], ids=["no hash", "wrapped"])
def test_schedules_of_other_kinds(schedule):
    scheduler = callbacks.LearningRateScheduler(schedule)
    history = small_model("sgd").fit(**FIT, epochs=2, callbacks=[scheduler])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05])


def test_a_subclass_with_batch_hooks_is_called_on_the_caller_s_thread():
    class Mine(callbacks.LearningRateScheduler):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            threads.add(threading.current_thread())

    threads = set()
    scheduler = Mine(lambda epoch: 0.1)
    small_model("sgd").fit(**FIT, epochs=2, callbacks=[scheduler])
    assert threads == {threading.current_thread()}


@pytest.mark.skipif(keras.config.backend() != "jax", reason="JAX's trainer keeps the state")
def test_the_same_rate_again_costs_no_wait_for_the_device(monkeypatch):
    model = small_model("sgd")
    synced = []
    original = type(model).jax_state_sync

    def count(self):
        synced.append(not self._jax_state_synced)
        original(self)

    monkeypatch.setattr(type(model), "jax_state_sync", count)
    rates = iter([1e-3] * 6 + [2e-3] * 3 + [1e-3] * 3)
    scheduler = callbacks.LearningRateScheduler(lambda step: next(rates), unit="batch")
    with fitwatch.enabled():
        model.fit(**FIT, epochs=2, callbacks=[scheduler])
    assert sum(synced) == 1 + 2  # the change in the middle of an epoch; the end of each
