"""ReduceLROnPlateau, beyond what it shares with the other monitors."""

import keras
import pytest

from fitwatch.callbacks import ReduceLROnPlateau


def test_the_optimizer_gets_the_reduced_rate(make_model, data):
    model = make_model(optimizer=keras.optimizers.Adam(0.1))
    reduce = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100, min_lr=0.03)
    fit = model.fit(*data, epochs=5, verbose=0, callbacks=[reduce])
    assert fit.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.05, 0.03, 0.03])


def test_a_rate_that_follows_a_schedule_cannot_be_reduced(make_model, data):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    reduce = ReduceLROnPlateau("loss", patience=1, min_delta=100)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        make_model(optimizer=keras.optimizers.SGD(schedule)).fit(
            *data, epochs=3, verbose=0, callbacks=[reduce]
        )


def test_the_learning_rate_can_be_monitored_like_any_log(stand_in):
    reduce = ReduceLROnPlateau("learning_rate", mode="min", patience=1, min_delta=0)
    reduce.set_model(stand_in())
    reduce.on_train_begin()
    for epoch in range(3):
        reduce.on_epoch_end(epoch, {})
    assert reduce.best == pytest.approx(0.01)


def test_a_misspelled_argument_is_refused():
    """Keras takes any keyword here, and ignores it."""
    with pytest.raises(TypeError, match="patiense"):
        ReduceLROnPlateau("loss", patiense=3)


def test_a_subclass_may_reduce_in_its_own_way(stand_in):
    class Halves(ReduceLROnPlateau):
        def _reduce_optimizer_lr(self, optimizer, epoch, name=""):
            optimizer.learning_rate /= 2
            return True

    reduce = Halves("loss", patience=1, cooldown=1)
    reduce.set_model(stand_in())
    reduce.on_train_begin()
    for epoch in range(3):
        reduce.on_epoch_end(epoch, {"loss": 1.0})
    assert reduce._model.optimizer.learning_rate == 0.025
