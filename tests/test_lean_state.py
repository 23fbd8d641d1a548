"""On JAX a compiled list makes Keras's trainer store its state without a walk through it."""

import contextlib

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="of JAX's trainer")

X = np.ones((12, 2), "float32")


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def model():
    keras.utils.set_random_seed(0)
    model = Model()
    model.compile("adam", "mse")
    return model


class Looks(keras.callbacks.Callback):
    """Looks at the state, and tries what Keras refuses to do with a model that is built."""

    def on_train_batch_end(self, batch, logs=None):
        self.kind = type(self.model._jax_state).__name__
        with pytest.raises(ValueError, match="already built"):
            self.model.another = keras.layers.Dense(3)


def test_in_a_fit():
    ours, theirs, looks = model(), model(), Looks()
    with fitwatch.enabled():
        mine = ours.fit(X, X[:, :1], epochs=3, batch_size=4, verbose=0, callbacks=[looks])
    assert looks.kind == "mappingproxy"
    assert "_setattr_hook" not in vars(ours)
    stock = Looks()
    history = theirs.fit(X, X[:, :1], epochs=3, batch_size=4, verbose=0, callbacks=[stock])
    assert stock.kind == "TrackedDict"
    assert mine.history == history.history
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("enabled", [True, False])
def test_after_an_exception(enabled):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("no")

    failed = model()
    fails = [Fails()] if enabled else callbacks.CallbackList([Fails()], model=failed)
    context = fitwatch.enabled() if enabled else contextlib.nullcontext()
    with context, pytest.raises(RuntimeError, match="no"):
        failed.fit(X, X[:, :1], verbose=0, callbacks=fails)
    assert not enabled or "_setattr_hook" not in vars(failed)
    watching = callbacks.CallbackList([], add_history=True, model=failed, verbose=0)
    failed.fit(X, X[:, :1], callbacks=watching)
    assert "_setattr_hook" not in vars(failed)
