"""GradientMonitor and LearningRateMonitor where users have written the train step."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, cut, numbers
from gradients import dense, gradients_of, norm
from keras import ops, optimizers

from fitwatch.callbacks import GradientMonitor, LearningRateMonitor, LossHistory

X, Y = numbers(40)


class Pair(keras.Model):
    """Two parts that are trained in turn, each by its optimizer, as those of a GAN."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(1)
        self.first = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="first")
        self.second = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="second")

    def compile(self, a_optimizer, b_optimizer):
        super().compile()
        self.a_optimizer = a_optimizer
        self.b_optimizer = b_optimizer
        if BACKEND == "jax":  # others build them in the first step
            a_optimizer.build(self.first.trainable_variables)
            b_optimizer.build(self.second.trainable_variables)

    def call(self, x, training=False):
        return self.second(self.first(x))


if BACKEND == "jax":
    import jax

    class Two(Pair):
        @property
        def _optimizers(self):
            return [self.a_optimizer, self.b_optimizer]

        def train_step(self, state, data):
            trainable, non_trainable, optimizer, metrics = state
            x, y = data[:2]

            def loss_of(trainable):
                predicted, _ = self.stateless_call(trainable, non_trainable, x, training=True)
                return ops.mean((predicted - y) ** 2)

            loss, grads = jax.value_and_grad(loss_of)(trainable)
            # Keras keeps the variables of `model.optimizer` only: these two begin anew each time.
            new = []
            for one, part in zip(self._optimizers, (slice(2), slice(2, 4)), strict=True):
                values = [variable.value for variable in one.variables]
                new += one.stateless_apply(values, grads[part], trainable[part])[0]
            return {"loss": loss}, (new, non_trainable, optimizer, metrics)

    class Nothing(keras.Model):
        def train_step(self, state, data):
            return {"loss": ops.sum(data[0])}, state

    class Inside(keras.Model):
        """Calls the optimizer inside a condition, which a value cannot leave."""

        def train_step(self, state, data):
            def train():
                return super(Inside, self).train_step(state, data)

            return jax.lax.cond(ops.sum(data[0]) > -1e9, train, train)

else:

    def loss_and_gradients(model, x, y):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = ops.mean((model(x) - y) ** 2)
            return loss, tape.gradient(loss, model.trainable_variables)
        model.zero_grad()
        loss = ops.mean((model(x) - y) ** 2)
        loss.backward()
        return loss, [variable.value.grad for variable in model.trainable_variables]

    class Two(Pair):
        def train_step(self, data):
            loss, grads = loss_and_gradients(self, *data[:2])
            first, second = self.first.trainable_variables, self.second.trainable_variables
            self.a_optimizer.apply_gradients(zip(grads[:2], first, strict=True))
            self.b_optimizer.apply(grads[2:], second)
            return {"loss": loss}

    class Nothing(keras.Model):
        def train_step(self, data):
            return {"loss": ops.sum(ops.convert_to_tensor(data[0]))}

    class Inside(keras.Model):
        def train_step(self, data):
            import tensorflow as tf

            x, y = data[:2]
            loss, grads = loss_and_gradients(self, x, y)

            def train():
                self.optimizer.apply(grads, self.trainable_variables)
                return loss

            return {"loss": tf.cond(loss > -1.0, train, lambda: loss)}


def fit(model, *watching):
    history = LossHistory(columns="all")
    callbacks = [history, *watching]
    model.fit(X, Y, batch_size=8, shuffle=False, epochs=2, verbose=0, callbacks=callbacks)
    return history


def small(cls):
    inputs = keras.Input((4,))
    model = cls(inputs, keras.layers.Dense(1, name="only")(inputs))
    model.compile("sgd", "mse")
    return model


def test_two_optimizers():
    model, plain = Two(), Two()
    for one in (model, plain):
        accumulating = optimizers.SGD(
            0.01, gradient_accumulation_steps=2 if BACKEND != "jax" else None
        )
        one.compile(accumulating, optimizers.SGD(0.02, clipnorm=0.1))
    fit(plain)
    asked = {"clipped": True, "per_layer": True, "update_ratio": True}
    history = fit(model, GradientMonitor(**asked), LearningRateMonitor())
    of_one = ["grad_norm", "grad_norm_clipped", "learning_rate", "update_ratio"]
    expected = {f"{name}/{one}" for name in of_one for one in ("a_optimizer", "b_optimizer")}
    expected |= {"grad_norm/first/a_optimizer", "grad_norm/second/b_optimizer"}
    assert set(history.kinds) - {"loss"} == expected
    for one in ("first/a", "second/b"):
        norms = history.column(f"grad_norm/{one}_optimizer")
        assert np.array_equal(norms, history.column(f"grad_norm/{one[-1]}_optimizer"))
    assert np.all(history.column("grad_norm_clipped/b_optimizer") <= 0.1 * np.sqrt(2) * 1.00001)
    assert set(history.column("learning_rate/b_optimizer")) == {np.float32(0.02)}
    ratios = history.column("update_ratio/a_optimizer")
    every = slice(None) if BACKEND == "jax" else slice(1, None, 2)
    assert np.all(ratios[every] > 0)
    if BACKEND != "jax":
        assert not ratios[::2].any()
    for a, b in zip(model.weights, plain.weights, strict=True):
        assert np.array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


@pytest.mark.skipif(BACKEND == "jax", reason="on JAX an optimizer is built before the step")
@pytest.mark.parametrize("scale", [None, 64.0])
def test_an_optimizer_that_the_first_step_builds(scale):
    model = Two()
    first = optimizers.SGD(0.0, gradient_accumulation_steps=2)
    if scale is not None:
        first = optimizers.LossScaleOptimizer(first, scale)
    model.compile(first, optimizers.SGD(0.0))
    norms = fit(model, GradientMonitor()).column("grad_norm/a_optimizer")
    gradients = gradients_of(model)
    own = [[dense(one) for one in gradients(x, y)[:2]] for x, y in cut((X, Y), 8)] * 2
    for last in range(1, len(own), 2):
        own[last] = [np.mean(ones, axis=0) for ones in zip(*own[last - 1 : last + 1], strict=True)]
    np.testing.assert_allclose(norms * (scale or 1), [norm(one) for one in own], rtol=1e-6)


@pytest.mark.parametrize(
    ("monitor", "what"), [(GradientMonitor, "gradients"), (LearningRateMonitor, "learning rate")]
)
def test_a_step_without_an_optimizer(monitor, what):
    with pytest.warns(
        UserWarning, match=f"the {what} of this Nothing cannot be .*no optimizer"
    ) as caught:
        history = fit(small(Nothing), monitor())
    assert sum("cannot be" in str(one.message) and what in str(one.message) for one in caught) == 1
    assert not {"grad_norm", "learning_rate"} & set(history.kinds)


@pytest.mark.skipif(BACKEND == "torch", reason="torch has no separate computations")
def test_an_optimizer_inside_a_condition():
    model = small(Inside)
    with pytest.warns(
        UserWarning, match="gradients of this Inside cannot be measured: an optimizer"
    ):
        history = fit(model, GradientMonitor())
    assert "grad_norm" not in history.kinds
    assert np.isfinite(history.losses).all()


DEVICES = {
    "jax": """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import contextlib, keras
keras.distribution.set_distribution(keras.distribution.DataParallel())
scope = contextlib.nullcontext
""",
    "tensorflow": """
import keras, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
""",
}
CODE = """
import numpy as np
from fitwatch.callbacks import GradientMonitor, LearningRateMonitor, LossHistory

with scope():
    layer = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(0.125), "mse")
history = LossHistory(columns="all")
watching = [history, GradientMonitor(), LearningRateMonitor()]
model.fit(np.ones((8, 1)), np.zeros(8), batch_size=4, verbose=0, callbacks=watching)
print({name: history.column(name).tolist() for name in sorted(history.kinds)})
"""


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch uses one device")
def test_several_devices():
    command = [sys.executable, "-c", DEVICES[BACKEND] + CODE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    expected = {"learning_rate": [0.125, 0.125], "loss": [1.0, 0.5625]}
    if BACKEND == "jax":
        expected = {"grad_norm": [2.0, 1.5], **expected}
    else:
        assert "each device of a TensorFlow strategy has a part of them" in done.stderr
    assert done.stdout == f"{expected}\n", done.stderr
