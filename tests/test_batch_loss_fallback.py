"""Models whose per-batch loss is not available: one warning, the running mean, same training."""

import keras
import numpy as np
import pytest
from batch_losses import BACKEND, STEPS, compiled, dense, numbers
from warned import no_warnings

from fitwatch.callbacks import LossHistory

X, Y = numbers()


def small(cls):
    inputs = keras.Input((4,))
    return cls(inputs, keras.layers.Dense(1)(inputs))


def tell_again(tracker, loss):
    """Updates the tracker with a loss, which has no effect on JAX."""
    if BACKEND != "jax":
        return tracker.update_state(loss)
    nothing = [keras.ops.zeros(variable.shape) for variable in tracker.variables]
    return tracker.stateless_update_state(nothing, loss)


if BACKEND == "jax":
    import jax

    class Untracked(keras.Model):
        """Never updates the loss tracker."""

        def train_step(self, state, data):
            trainable, non_trainable, optimizer, metrics = state
            x, y = data[:2]

            def loss_of(trainable):
                predicted, _ = self.stateless_call(trainable, non_trainable, x, training=True)
                return keras.ops.mean((predicted - y) ** 2)

            loss, grads = jax.value_and_grad(loss_of)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)

    class Inside(keras.Model):
        """Updates the tracker inside the gradient computation, which a value cannot leave."""

        def train_step(self, state, data):
            trainable, non_trainable, optimizer, metrics = state
            x, y = data[:2]
            tracker = self._loss_tracker

            def loss_of(trainable):
                predicted, _ = self.stateless_call(trainable, non_trainable, x, training=True)
                loss = keras.ops.mean((predicted - y) ** 2)
                tracked = tell_again(tracker, loss)
                return loss, tracked

            (loss, _), grads = jax.value_and_grad(loss_of, has_aux=True)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            return {"loss": loss}, (trainable, non_trainable, optimizer, metrics)

    class Guide(keras.Model):
        """As Keras's guide has it: by `stateless_update_state`."""

        def train_step(self, state, data):
            trainable, non_trainable, optimizer, metrics = state
            x, y = data[:2]

            def loss_of(trainable):
                predicted, _ = self.stateless_call(trainable, non_trainable, x, training=True)
                return self.compute_loss(x, y, predicted), predicted

            (loss, _), grads = jax.value_and_grad(loss_of, has_aux=True)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            new, logs = [], {}
            for metric in self.metrics:
                variables = metrics[len(new) : len(new) + len(metric.variables)]
                if metric.name == "loss":
                    variables = metric.stateless_update_state(variables, loss)
                    logs["loss"] = metric.stateless_result(variables)
                new += variables
            return logs, (trainable, non_trainable, optimizer, new)

elif BACKEND == "tensorflow":
    import tensorflow as tf

    def gradient_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    class Untracked(keras.Model):
        def train_step(self, data):
            return {"loss": gradient_step(self, data)}

    class Inside(keras.Model):
        def train_step(self, data):
            loss = gradient_step(self, data)

            def told():
                self._loss_tracker.update_state(tf.identity(loss))
                return loss

            return {"loss": tf.cond(loss > -1.0, told, lambda: loss)}

    class Guide(keras.Model):
        def train_step(self, data):
            loss = gradient_step(self, data)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
            return {metric.name: metric.result() for metric in self.metrics[:1]}

else:

    def gradient_step(self, data):
        x, y = data[:2]
        self.zero_grad()
        loss = keras.ops.mean((self(x, training=True) - y) ** 2)
        loss.backward()
        weights = self.trainable_weights
        import torch

        with torch.no_grad():
            self.optimizer.apply([w.value.grad for w in weights], weights)
        return loss

    class Untracked(keras.Model):
        def train_step(self, data):
            return {"loss": gradient_step(self, data)}

    class Inside(Untracked):
        """Torch has no separate gradient computation."""

    class Guide(keras.Model):
        def train_step(self, data):
            loss = gradient_step(self, data)
            self._loss_tracker.update_state(loss)
            return {"loss": self._loss_tracker.result()}


class Twice(keras.Model):
    """Updates the tracker with two losses, as a GAN may."""

    def train_step(self, *args):
        result = super().train_step(*args)
        tell_again(self._loss_tracker, keras.ops.convert_to_tensor(1.0))
        return result


class Vector(keras.Model):
    """Updates the tracker with one loss per sample."""

    def train_step(self, *args):
        tracker = self._loss_tracker
        update = tracker.update_state

        def spread(loss, sample_weight=None):
            return update(keras.ops.stack([loss, loss]))

        vars(tracker)["update_state"] = spread
        try:
            return super().train_step(*args)
        finally:
            vars(tracker)["update_state"] = update


def logged(model, **options):
    """What Keras logs, batch by batch, and the history."""
    seen = []
    by_hand = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(logs["loss"])
    )
    history = LossHistory()
    fit = {"batch_size": 10, "shuffle": False, "verbose": 0, "epochs": 2, **options}
    model.fit(X, Y, callbacks=[history, by_hand], **fit)
    return np.array(seen, dtype=np.float32), history


@pytest.mark.parametrize("steps", STEPS[:2])
@pytest.mark.parametrize("cls", [Untracked, Inside, Twice, Vector])
def test_falls_back_to_the_running_mean(cls, steps):
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        models.append(
            compiled(small(cls), optimizer="sgd", metrics=None, steps_per_execution=steps)
        )
    with pytest.warns(UserWarning, match=f"loss of each batch of this {cls.__name__}") as caught:
        seen, history = logged(models[0])
    ours = [w for w in caught if "loss of each batch" in str(w.message)]
    assert len(ours) == 1
    assert history.kind == "running"
    np.testing.assert_array_equal(history.losses, seen)
    models[1].fit(X, Y, batch_size=10, shuffle=False, verbose=0, epochs=2)
    for ours, theirs in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("steps", STEPS[:2])
def test_a_step_of_ones_own_that_tells_the_tracker_is_taken(steps):
    keras.utils.set_random_seed(1)
    model = compiled(small(Guide), optimizer="sgd", metrics=None, steps_per_execution=steps)
    with no_warnings():
        _, history = logged(model)
    assert history.kind == "batch"
    assert len(history.losses) == 20
    keras.utils.set_random_seed(1)
    plain = compiled(small(keras.Model), optimizer="sgd")
    _, expected = logged(plain)
    np.testing.assert_allclose(history.losses, expected.losses, rtol=1e-5)


def test_a_gan_without_a_loss_is_reported():
    class Gan(keras.Model):
        def train_step(self, *args):
            result = super().train_step(*args)
            own = {"d_loss": 1.0, "g_loss": 2.0}
            return (own, *result[1:]) if isinstance(result, tuple) else own

        @property
        def metrics(self):
            return []

    model = compiled(small(Gan), optimizer="sgd", metrics=None)
    history = LossHistory()
    model.fit(X, Y, verbose=0, callbacks=[history])
    # The tracker was updated, although the logs lack the loss.
    assert len(history.losses) == 4
    assert history.kind == "batch"


class Method(keras.Model):
    """Has a method for its train function."""

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force=True)
            self._inner = self.train_function
            self.train_function = self._through
        return self.train_function

    def _through(self, *args):
        return self._inner(*args)


class OtherStep(keras.Model):
    """Makes its train function of another step."""

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            own = type(self).train_step
            vars(self)["train_step"] = lambda *args: own(self, *args)
            super().make_train_function(force=True)
            del vars(self)["train_step"]
        return self.train_function


class Untold(keras.Model):
    """Has no loss tracker."""

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        self._loss_tracker = None

    def train_step(self, *args):
        logs = {"loss": keras.ops.convert_to_tensor(1.5)}
        return (logs, args[0]) if len(args) == 2 else logs


@pytest.mark.parametrize("cls", [Untold] if BACKEND == "torch" else [Method, OtherStep, Untold])
def test_models_that_do_it_their_own_way(cls):
    keras.utils.set_random_seed(1)
    model = compiled(small(cls), optimizer="sgd", metrics=None, jit_compile=False)
    with pytest.warns(UserWarning, match=f"loss of each batch of this {cls.__name__}"):
        seen, history = logged(model)
    assert history.kind == "running"
    np.testing.assert_array_equal(history.losses, seen)
    assert history.model.history.history.keys() == {"loss"}


@pytest.mark.skipif(BACKEND == "torch", reason="torch's own function is called")
def test_a_train_function_of_ones_own_is_called():
    model = dense()
    model.make_train_function()
    own, called = model.train_function, []

    def wrapper(*args):
        called.append(1)
        return own(*args)

    model.train_function = wrapper
    with pytest.warns(UserWarning, match="was not made by Keras"):
        _, history = logged(model)
    assert len(called) == len(history.losses) == 20
    assert history.kind == "running"
    assert model.train_function is wrapper


def test_a_keras_that_makes_its_functions_otherwise(monkeypatch):
    from fitwatch._keras import train_step

    def unknown(*args, **kwargs):
        raise AttributeError("no such thing in this Keras")

    name = "replaced" if BACKEND == "torch" else "build_train_function"
    if BACKEND == "torch":
        pytest.skip("torch makes no second function")
    monkeypatch.setattr(train_step, name, unknown)
    keras.utils.set_random_seed(1)
    with pytest.warns(UserWarning, match="AttributeError: no such thing in this Keras"):
        seen, history = logged(dense())
    assert history.kind == "running"
    np.testing.assert_array_equal(history.losses, seen)
