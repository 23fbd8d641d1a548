"""A model whose variables all hold the same number, so that a mix of two saves is detected."""

import keras
import numpy as np


class Numbered(keras.Sequential):
    """A training step changes nothing; it takes no time to compile either."""

    def train_step(self, *arguments):
        logs = {"loss": keras.ops.zeros(())}
        return (logs, arguments[0]) if keras.config.backend() == "jax" else logs


def make_model():
    """A new model."""
    layers = [keras.layers.Dense(64, kernel_initializer="zeros") for _ in range(3)]
    model = Numbered([keras.Input((64,)), *layers])
    # "mse" cannot be loaded from an .h5 file.
    model.compile("adam", keras.losses.MeanSquaredError(), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def data(samples=64):
    """Samples for it, as arguments of `fit()`."""
    return {"x": np.zeros((samples, 64)), "y": np.zeros((samples, 64)), "verbose": 0}


def fill(model, number):
    for variable in _variables(model):
        variable.assign(np.full(variable.shape, number, variable.dtype))


def number_in(model):
    """The number that a model holds."""
    arrays = [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]
    numbers = set(np.concatenate([array.ravel() for array in arrays]).tolist())
    assert len(numbers) == 1, numbers
    return int(numbers.pop())


def number_in_file(path):
    """The number that a saved model holds, or weights."""
    if str(path).endswith(".weights.h5"):
        model = make_model()
        fill(model, -1)
        model.load_weights(path)
    else:
        model = keras.models.load_model(path, custom_objects={"Numbered": Numbered})
    return number_in(model)


def _variables(model):
    variables = [*model.variables, *model.optimizer.variables]
    # Compiled anew, it has metrics that it had not before.
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in variables if id(variable) not in metrics]
