"""Docstrings of public names describe the arguments and have an example."""

import importlib
import inspect
import re

import pytest

NAMES = ["fitwatch", "fitwatch.callbacks", "fitwatch.distributed"]
MODULES = [importlib.import_module(name) for name in NAMES]
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if (getattr(getattr(module, name), "__module__", None) or "").startswith("fitwatch")
}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}
METHODS = {
    f"{name}.{key}": member
    for name, cls in CLASSES.items()
    for key, member in vars(cls).items()
    if not key.startswith(("_", "on_")) and key not in ("set_model", "set_params")
    if inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod))
}


def section(thing, name):
    """The text below a heading."""
    doc = inspect.cleandoc(thing.__doc__ or "")
    found = re.search(rf"^{name}:\n((?:[ \t]+.*\n?|\n)*)", doc, re.MULTILINE)
    return found[1] if found else ""


def documented(thing):
    return re.findall(r"^    \*{0,2}(\w+):", section(thing, "Args"), re.MULTILINE)


def taken(thing):
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]


def test_there_are_as_many_as_there_should_be():
    assert len(CLASSES) > 12
    assert len(METHODS) > 10


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments_and_an_example(name):
    thing = PUBLIC[name]
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert documented(thing) == taken(thing)
    assert ">>>" in section(thing, "Example")


@pytest.mark.parametrize("name", METHODS)
def test_a_method(name):
    method = getattr(METHODS[name], "__func__", METHODS[name])
    assert method.__doc__
    assert documented(method) == taken(method)
    gives = inspect.signature(method).return_annotation
    assert gives in (None, "None", inspect.Signature.empty) or section(method, "Returns")


@pytest.mark.parametrize("name", CLASSES)
def test_what_differs_from_keras(name):
    cls = CLASSES[name]
    stock = any(base.__name__ == cls.__name__ for base in cls.__mro__[1:])
    assert section(cls, "Differs from Keras") or not stock
