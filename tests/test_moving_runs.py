"""Rows of the table in docs/moving.md that are about whole runs: beside Keras."""

import contextlib
import threading

import keras
import numpy as np
import pytest
from crashes import crash

import fitwatch
from fitwatch import callbacks

STOCK = keras.callbacks
BACKEND = keras.config.backend()


@pytest.mark.skipif(BACKEND == "tensorflow", reason="Keras calls them in order there")
def test_a_bare_callback_runs_on_the_thread_of_fit(make_model, data):
    seen = []
    bare = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(threading.get_ident())
    )
    model = make_model()
    model.fit(*data, verbose=0, callbacks=bare)
    assert seen
    assert threading.get_ident() not in seen
    seen.clear()
    with fitwatch.enabled():
        model.fit(*data, verbose=0, callbacks=bare)
    assert set(seen) == {threading.get_ident()}


@pytest.mark.skipif(BACKEND != "jax", reason="the variables are always with the model")
def test_the_model_in_a_bare_callback(make_model, data):
    """Keras fails at the first attempt, as a rule: the next batch takes the variables away."""

    class Uses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.get_weights()

    def fit(attempts):
        for _ in range(attempts):
            make_model().fit(*data, batch_size=5, epochs=3, verbose=0, callbacks=Uses())

    with pytest.raises(Exception, match=r"(?i)deleted|donated|invalid buffer"):
        fit(5)
    with fitwatch.enabled():
        fit(1)


@pytest.mark.skipif(BACKEND != "jax", reason="the variables are always with the model")
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_an_exception_in_a_hook_on_jax(method, make_model, data):
    def fails(batch, logs=None):
        raise ZeroDivisionError

    failing = keras.callbacks.LambdaCallback()
    failing.on_test_batch_end = failing.on_predict_batch_end = fails
    arguments = data if method == "evaluate" else data[:1]
    for enabled in (False, True):
        model = make_model()
        before = model.get_weights()
        context = fitwatch.enabled() if enabled else contextlib.nullcontext()
        with context, pytest.raises(ZeroDivisionError):
            getattr(model, method)(*arguments, verbose=0, callbacks=[failing])
        if enabled:
            np.testing.assert_array_equal(model.get_weights()[0], before[0])
        else:
            with pytest.raises(TypeError, match="NoneType"):
                model.get_weights()


def test_the_history_of_a_run_that_goes_on(make_model, data, tmp_path):
    for module, options, epochs in (
        (STOCK, {}, [2, 3]),
        (callbacks, {"exact": True}, [0, 1, 2, 3]),
    ):
        folder, model = tmp_path / module.__name__, make_model()
        with contextlib.nullcontext() if module is STOCK else fitwatch.enabled():
            crash(model, data, module.BackupAndRestore(folder, **options))
            backup = module.BackupAndRestore(folder, **options)
            history = model.fit(*data, epochs=4, verbose=0, callbacks=[backup])
        assert history.epoch == epochs
        assert len(history.history["loss"]) == len(epochs)


def test_a_run_that_early_stopping_has_ended_started_again(make_model, data, tmp_path):
    model, patience = make_model(), 1

    def start(module):
        # No epoch is an improvement after the first one of a start.
        stopping = module.EarlyStopping("loss", patience=patience, min_delta=100)
        backup = module.BackupAndRestore(tmp_path / module.__name__, delete_checkpoint=False)
        return model.fit(*data, epochs=20, verbose=0, callbacks=[stopping, backup]).epoch

    first = list(range(patience + 1))
    assert start(STOCK) == first
    assert start(STOCK) == [epoch + patience + 1 for epoch in first]
    model._initial_epoch = None
    assert start(callbacks) == first
    with pytest.warns(UserWarning, match="would stop it again at once.*Nothing is trained"):
        assert start(callbacks) == []


def test_a_backup_where_averages_are_in_the_model(data, tmp_path):
    """It has the weights that the next epoch begins with; Keras's has their averages."""

    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    class Begins(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.weights = self.model.get_weights()

    for module in (STOCK, callbacks):
        folder, begins = tmp_path / module.__name__, Begins()
        averages = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        crash(make(), data, averages, module.BackupAndRestore(folder), begins, at=1)
        backed_up = make()
        backed_up.optimizer.build(backed_up.trainable_variables)
        backed_up.load_weights(folder / "latest.weights.h5")
        distance = np.abs(backed_up.get_weights()[0] - begins.weights[0]).max()
        assert distance > 0.01 if module is STOCK else distance == 0
