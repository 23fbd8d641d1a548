"""Collects warnings."""

import warnings
from contextlib import contextmanager


@contextmanager
def no_warnings():
    """A block in which nothing is warned of. (fitwatch's own warnings are never raised.)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    messages = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert messages == []
