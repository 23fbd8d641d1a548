"""The base classes and attributes of the callbacks' classes."""

import inspect
from pathlib import Path

import keras
import pytest
from catalogue import MAKERS

from fitwatch import callbacks
from fitwatch._engine.attachment import Attachment, Part, attachment_of

each_class = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(name):
    return MAKERS[name](Path("."))


def test_every_class_of_ours_is_in_the_catalogue():
    ours = {
        name
        for name in callbacks.__all__
        if getattr(callbacks, name) is not getattr(keras.callbacks, name, None)
    }
    assert set(MAKERS) == ours - {"CallbackList"}


@each_class
def test_at_most_six_classes_and_no_mixin(name):
    line = getattr(callbacks, name).__mro__[:-1]
    assert len(line) <= 6, [cls.__name__ for cls in line]
    theirs = [cls for cls in line if cls.__module__.startswith("keras.")]
    ours = [cls for cls in line if cls.__module__.startswith("fitwatch.")]
    assert len(ours) + len(theirs) == len(line)
    assert line[0].__module__.startswith("fitwatch.callbacks.")
    assert keras.callbacks.Callback in theirs


@each_class
def test_one_private_attribute_of_ours(name):
    """Keras's class has the other attributes too."""
    callback = made(name)
    theirs = [cls for cls in type(callback).__mro__ if cls.__module__.startswith("keras.")]
    known = "".join(map(inspect.getsource, theirs))
    own = {one for one in vars(callback) if one.startswith("_") and one not in known}
    assert own == {"_fitwatch"}
    assert isinstance(attachment_of(callback), Attachment)


@each_class
def test_parts_keep_no_reference_to_their_callback(name):
    callback = made(name)
    attachment = attachment_of(callback)
    for part in (attachment, *attachment.parts):
        assert isinstance(part, Part)
        assert all(value is not callback for value in vars(part).values())


def test_what_is_none_of_ours_has_no_attachment():
    from unittest import mock

    for other in (keras.callbacks.History(), mock.MagicMock(), object(), callbacks.History):
        assert attachment_of(other) is None
