"""Gradients, computed beside a train step: by `jax.grad`, `GradientTape` or autograd."""

import keras
import numpy as np
from batch_losses import BACKEND

if BACKEND == "jax":
    import jax

    def gradients_of(model):
        fixed = [variable.value for variable in model.non_trainable_variables]

        @jax.jit
        @jax.grad
        def gradients(trainable, x, y):
            predicted, _ = model.stateless_call(trainable, fixed, x, training=True)
            return keras.ops.mean((predicted - y) ** 2)

        return lambda x, y: gradients([v.value for v in model.trainable_variables], x, y)

elif BACKEND == "tensorflow":
    import tensorflow as tf

    def gradients_of(model):
        def gradients(x, y):
            with tf.GradientTape() as tape:
                loss = keras.ops.mean((model(x, training=True) - y) ** 2)
            return tape.gradient(loss, [v.value for v in model.trainable_variables])

        return gradients

else:
    import torch

    def gradients_of(model):
        def gradients(x, y):
            loss = keras.ops.mean((model(x, training=True) - keras.ops.convert_to_tensor(y)) ** 2)
            return torch.autograd.grad(loss, [v.value for v in model.trainable_variables])

        return gradients


def dense(gradient):
    """An array, also of a sparse gradient of TensorFlow."""
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(gradient)))


def norm(arrays):
    """The norm of all elements of some arrays."""
    return np.sqrt(sum(np.sum(np.square(one.astype("float64"))) for one in arrays))


def weights(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]


def trained(model, batches):
    """Trains a model by `train_on_batch`.

    Yields the gradients of each batch, and the weights before and after it.
    """
    gradients = gradients_of(model)
    for x, y in batches:
        found, before = [dense(one) for one in gradients(x, y)], weights(model)
        model.train_on_batch(x, y)
        yield found, before, weights(model)
