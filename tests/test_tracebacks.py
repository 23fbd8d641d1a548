"""Frames in the traceback of an error that a callback has raised."""

import traceback

import keras
import pytest

import fitwatch


class Base(keras.callbacks.Callback):
    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self.fail)

    def fail(self, *args, **kwargs):
        raise ZeroDivisionError


def a_schedule(epoch, rate):
    raise ZeroDivisionError


def frames(fit, *arguments, **options):
    """The files and functions in the traceback."""
    with pytest.raises(ZeroDivisionError) as caught:
        fit(*arguments, **options)
    return [(frame.filename, frame.name) for frame in traceback.extract_tb(caught.tb)]


EVENTS = [
    ("fit", "on_train_begin"),
    ("fit", "on_epoch_begin"),
    ("fit", "on_train_batch_begin"),
    ("fit", "on_train_batch_end"),
    ("fit", "on_test_batch_end"),
    ("fit", "on_epoch_end"),
    ("fit", "on_train_end"),
    ("evaluate", "on_test_end"),
    ("predict", "on_predict_batch_end"),
]


@pytest.mark.parametrize(("method", "hook"), EVENTS)
def test_they_are_those_of_keras(method, hook, make_model, data):
    """The user's, and the one of Keras that hides the others."""
    x, y = data
    arguments, options = ((x,), {}) if method == "predict" else ((x, y), {})
    if hook == "on_test_batch_end":
        options["validation_data"] = data

    def found():
        fit = getattr(make_model(), method)
        return frames(fit, *arguments, verbose=0, callbacks=[Base(hook)], **options)

    theirs = found()
    with fitwatch.enabled():
        assert found() == theirs
    assert found() == theirs
    assert theirs[-1] == (__file__, "fail")
    assert len(theirs) < 6


def test_nor_are_ours_there_where_one_of_ours_calls_a_function_of_the_user(make_model, data):
    with fitwatch.enabled():
        scheduler = keras.callbacks.LearningRateScheduler(a_schedule)
        found = frames(make_model().fit, *data, verbose=0, callbacks=[scheduler])
    assert not [name for file, name in found if "fitwatch" in file and file != __file__]
    assert found[-1] == (__file__, "a_schedule")


def test_all_are_there_where_keras_shows_its_own(make_model, data):
    keras.config.disable_traceback_filtering()
    try:
        with fitwatch.enabled():
            found = frames(
                make_model().fit, *data, verbose=0, callbacks=[Base("on_train_batch_end")]
            )
    finally:
        keras.config.enable_traceback_filtering()
    files = [file for file, _ in found]
    assert any(file.startswith(fitwatch.__path__[0]) for file in files)
    assert any("trainer" in file for file in files)
