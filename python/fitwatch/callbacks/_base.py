"""What every callback of fitwatch has."""

from fitwatch.callbacks._compiled import Compiled
from fitwatch.callbacks._nested import Nested
from fitwatch.callbacks._owned import Owned


class Base(Compiled, Owned, Nested):
    """Mixin, in front of a class of Keras: compiled hooks, one list at a time, nested runs."""
