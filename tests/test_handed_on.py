"""Keras's own callbacks, which fitwatch re-exports, in a compiled list; and History."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras_versions import since_3_15

import fitwatch
from fitwatch import callbacks


@pytest.mark.parametrize(
    "name", ["LambdaCallback", "OrbaxCheckpoint", "RemoteMonitor", "SwapEMAWeights"]
)
def test_keras_s_own(name):
    if name == "OrbaxCheckpoint" and not hasattr(keras.callbacks, name):
        pytest.skip("Keras has it since 3.14")
    assert getattr(callbacks, name) is getattr(keras.callbacks, name)


@pytest.mark.parametrize(
    "callback",
    [
        callbacks.RemoteMonitor(),
        callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        callbacks.SwapEMAWeights(),
        callbacks.BackupAndRestore("backup"),
        callbacks.History(),
        callbacks.CSVLogger("log.csv"),
        callbacks.ModelCheckpoint("model.keras"),
        callbacks.EarlyStopping("loss"),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_what_works_by_the_epoch_costs_nothing_by_the_batch(callback):
    callback_list = callbacks.CallbackList([callback])
    for kind in ("train_", "test_", "predict_", ""):
        for when in ("begin", "end"):
            assert callback_list._plan(f"on_{kind}batch_{when}") == []


def test_averaged_weights_are_swapped_in(make_model, data):
    """As in a stock list: the model ends with them, and validates with them."""
    found = []
    for enable in (True, False):
        model = make_model()
        model.compile(
            keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
            "sparse_categorical_crossentropy",
        )
        listed = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
        with fitwatch.enabled() if enable else pytest.MonkeyPatch.context():
            history = model.fit(
                *data, epochs=3, shuffle=False, verbose=0, validation_split=0.5, callbacks=listed
            )
        found.append((history.history, model.get_weights()))
    assert found[0][0] == found[1][0]
    for ours, theirs in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_history_is_ours_wherever_fitwatch_makes_the_list(make_model, data):
    model = make_model()
    with fitwatch.enabled():
        history = model.fit(*data, epochs=2, verbose=0)
    assert type(history) is callbacks.History
    assert model.history is history
    assert isinstance(history, keras.callbacks.History)
    mine = callbacks.History()
    assert model.fit(*data, verbose=0, callbacks=[mine]) is mine
    assert mine.epoch == [0]


def test_a_history_is_that_of_keras(make_model, data):
    both = [callbacks.History(), keras.callbacks.History()]
    other = keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: logs.update({f"k{e}": e}))
    for epochs in (2, 3):
        make_model().fit(*data, epochs=epochs, verbose=0, callbacks=[other, *both])
    ours, theirs = both
    assert ours.history == theirs.history
    assert ours.epoch == theirs.epoch == [0, 1, 2]
    assert ours.params == theirs.params


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda history: pickle.loads(pickle.dumps(history))]
)
def test_a_copy_of_a_history(copied):
    history = callbacks.History()
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 0.5})
    other = copied(history)
    history.on_epoch_end(1, {"loss": 0.25})
    assert (other.history, other.epoch) == ({"loss": [0.5]}, [0])


@since_3_15
def test_an_instance_starts_fresh_in_a_second_fit(make_model, data):
    """What Keras's does, for all that have something to forget."""
    states = []
    for module in (callbacks, keras.callbacks):
        stopping = module.EarlyStopping("loss", patience=1, min_delta=10)
        plateau = module.ReduceLROnPlateau("loss", patience=1, min_delta=10)
        history = module.History()
        for epochs in (3, 2):
            fit = make_model().fit(
                *data,
                shuffle=False,
                epochs=epochs,
                verbose=0,
                callbacks=[stopping, plateau, history],
            )
        assert fit is history
        state = (stopping.wait, stopping.best, plateau.wait, plateau.best, plateau.cooldown_counter)
        states.append((*state, history.history, history.epoch))
    assert states[0] == states[1]
