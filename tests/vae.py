"""A variational autoencoder as Keras's guides write it: a train step and metrics of its own."""

import keras
from keras import ops

BACKEND = keras.config.backend()


def inputs(data):
    return data[0] if isinstance(data, tuple) else data


class Vae(keras.Model):
    """Logs its total loss as "loss", although that metric has another name."""

    def __init__(self):
        super().__init__()
        self.mean, self.spread = keras.layers.Dense(2), keras.layers.Dense(2)
        self.decoder = keras.layers.Dense(4)
        self.seeds = keras.random.SeedGenerator(1)
        self.total = keras.metrics.Mean(name="total_loss")
        self.reconstruction = keras.metrics.Mean(name="reconstruction_loss")
        self.divergence = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total, self.reconstruction, self.divergence]

    def call(self, x):
        mean, spread = self.mean(x), self.spread(x)
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return self.decoder(mean + ops.exp(0.5 * spread) * noise), mean, spread

    def losses_of(self, x):
        found, mean, spread = self(x)
        divergence = -0.5 * (1 + spread - ops.square(mean) - ops.exp(spread))
        one = ops.mean(ops.sum(ops.square(found - x), axis=1))
        other = ops.mean(ops.sum(divergence, axis=1))
        return one + other, one, other

    def track(self, total, reconstruction, divergence):
        self.total.update_state(total)
        self.reconstruction.update_state(reconstruction)
        self.divergence.update_state(divergence)
        return {
            "loss": self.total.result(),
            "reconstruction_loss": self.reconstruction.result(),
            "kl_loss": self.divergence.result(),
        }

    if BACKEND == "jax":

        def train_step(self, state, data):
            import jax

            trainable, fixed, optimizer, metrics = state

            def loss(trainable):
                mapping = [
                    *zip(self.trainable_variables, trainable, strict=True),
                    *zip(self.non_trainable_variables, fixed, strict=True),
                ]
                with keras.StatelessScope(state_mapping=mapping) as scope:
                    total, one, other = self.losses_of(inputs(data))
                news = [scope.get_current_value(v) for v in self.non_trainable_variables]
                return total, (one, other, news)

            (total, (one, other, fixed)), gradients = jax.value_and_grad(loss, has_aux=True)(
                trainable
            )
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
            mapping = list(zip(self.metrics_variables, metrics, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                logs = self.track(total, one, other)
            metrics = [scope.get_current_value(v) for v in self.metrics_variables]
            return logs, (trainable, fixed, optimizer, metrics)

    elif BACKEND == "tensorflow":

        def train_step(self, data):
            import tensorflow as tf

            with tf.GradientTape() as tape:
                losses = self.losses_of(inputs(data))
            gradients = tape.gradient(losses[0], self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            return self.track(*losses)

    else:

        def train_step(self, data):
            import torch

            self.zero_grad()
            losses = self.losses_of(inputs(data))
            losses[0].backward()
            weights = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in weights], weights)
            return self.track(*losses)
