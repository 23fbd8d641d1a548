"""What every callback of fitwatch has."""

from fitwatch._distributed.rank_aware import Together
from fitwatch._engine.list_membership import Owned
from fitwatch._engine.nested import Nested
from fitwatch._engine.plan import Compiled


class Base(Compiled, Together, Owned, Nested):
    """Mixin, in front of a class of Keras: compiled hooks, ranks, one list and run at a time."""
