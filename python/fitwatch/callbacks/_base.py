"""What every callback of fitwatch has."""

from fitwatch.callbacks._compiled import Compiled
from fitwatch.callbacks._nested import Nested
from fitwatch.callbacks._owned import Owned
from fitwatch.callbacks._together import Together


class Base(Compiled, Together, Owned, Nested):
    """Mixin, in front of a class of Keras: compiled hooks, ranks, one list and run at a time."""
