"""EarlyStopping, beyond what it shares with the other monitors."""

import copy
import math

import keras
import numpy as np
import pytest

from fitwatch.callbacks import EarlyStopping


def run(callback, model, losses):
    """The epoch that training stopped at; None if it did not."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.weights = epoch
        callback.on_epoch_end(epoch, {"loss": loss})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch if model.stop_training else None


def test_endless_patience_never_stops_but_restores(stand_in):
    callback = EarlyStopping("loss", patience=math.inf, restore_best_weights=True)
    model = stand_in()
    assert run(callback, model, [0.5, 0.3] + [0.9] * 50) is None
    assert model.weights == 1
    assert callback.patience == math.inf


def test_nans_only_run_out_of_patience(stand_in):
    """Keras stops one epoch later, because it takes the first NaN for an improvement."""
    assert run(EarlyStopping("loss", patience=3), stand_in(), [math.nan] * 9) == 2


def test_a_nan_in_the_first_epoch_is_overcome(stand_in):
    callback = EarlyStopping("loss", patience=2, restore_best_weights=True)
    model = stand_in()
    assert run(callback, model, [math.nan, 0.5, 0.4, 0.6, 0.6]) == 4
    assert (callback.best, callback.best_epoch, model.weights) == (0.4, 2, 2)


def test_weights_are_taken_once_for_an_epoch(stand_in):
    """Keras copies the weights of the first epoch twice."""
    model = stand_in()
    taken = []
    model.get_weights = lambda: taken.append(model.weights) or model.weights
    run(EarlyStopping("loss", patience=9, restore_best_weights=True), model, [0.5, 0.4, 0.6])
    assert taken == [0, 1]


def test_whole_floats_and_numpy_integers_are_counts():
    callback = EarlyStopping(patience=3.0, start_from_epoch=np.int64(2))
    assert (callback.patience, callback.start_from_epoch) == (3, 2)
    assert isinstance(callback.patience, int)


@pytest.mark.parametrize("given", [{}, {"min_delta": 1, "baseline": 2}, {"min_delta": 1.0}])
def test_arguments_are_the_same_text_as_in_keras(given, stand_in):
    """Tools write them down: MLflow logs them as parameters."""
    texts = []
    for cls in (keras.callbacks.EarlyStopping, EarlyStopping):
        callback = cls("loss", mode="min", **given)
        run(callback, stand_in(), [0.5, 0.3])
        texts.append([str(callback.min_delta), str(callback.baseline)])
    assert texts[0] == texts[1]
    assert str(copy.copy(callback).min_delta) == texts[0][0]
    callback.min_delta = 0.25
    assert str(callback.min_delta) == "0.25"


@pytest.mark.parametrize("baseline", [0, 0.5, -1])
def test_a_baseline_must_be_beaten_before_the_wait_starts_over(stand_in, baseline):
    callback = EarlyStopping("loss", patience=3, baseline=baseline)
    losses = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54]
    assert run(callback, stand_in(), losses) is None
    assert run(callback, stand_in(), [*losses, 0.54]) == 6
