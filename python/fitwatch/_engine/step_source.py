"""The source of step columns: the second train function that a `fit()` uses while they are wanted.

The second function is made as Keras makes its own, around a step that also returns the columns. The
model, its variables and its logs stay as they are, and its own function is restored at the end.
"""

import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import keras

from fitwatch import _core
from fitwatch._engine.meters import Meter, Metered
from fitwatch._engine.probes import Probe
from fitwatch._engine.step_jax import JaxRoute
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_route import Route
from fitwatch._engine.step_tensorflow import TensorFlowRoute
from fitwatch._engine.step_torch import TorchRoute
from fitwatch._keras.frames import Fit, fit_of
from fitwatch._warn import warn

Probes = frozenset[Probe]


class User(NamedTuple):
    """One use of the columns."""

    frame: int
    """That of its `fit()`."""
    probes: Probes
    """What finds the columns that it wants."""
    meters: list[Meter]
    """What measures further ones."""
    loud: Kind
    """The kinds of columns that it does not work without: a warning is given if there are none."""
    gone: list["weakref.finalize[Any, Any]"]
    """End the use when a `fit()` ends without a call of `release`."""


class StepSource:
    """Fills the step columns of a model's fits.

    Args:
        model: A compiled model in a `fit()`.
    """

    steps: int
    """Batches that a call trains; the last call of an epoch may train fewer."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self.steps = int(model.steps_per_execution)
        self._name = type(model).__name__
        self._original = model.train_function
        self._users: dict[int, User] = {}
        # The `fit()` that is watched, with its columns, and the outer ones with theirs.
        self._frame: int | None = None
        self.columns = self._new_columns()
        self._outer: list[tuple[int | None, _core.StepColumns]] = []
        # The routes that were made, by probes, and the one in use; None before the first call.
        self._routes: dict[Probes, Route] = {}
        self._route: Route | None = None
        # What a call of the train function does.
        self._train: Callable[..., Any] = self._call
        self._metered: Metered | None = None
        self._reported: set[Kind] = set()
        self._is_replaced = False

        original, caller = self._original, sys._getframe

        def train_function(*args: Any) -> Any:
            # Only calls from the watched `fit()` count: a callback may train other batches.
            if id(caller(1)) != self._frame:
                return original(*args)
            return self._train(*args)

        train_function._fitwatch_steps = self  # type: ignore[attr-defined]
        self._function = train_function

    def has(self, kind: Kind) -> bool:
        """Whether there are columns of a kind, as far as is known: before the first batch, yes."""
        known = {} if self._route is None else self._route.reasons
        return not self._is_replaced and kind not in known

    def _call(self, *args: Any) -> Any:
        """A call of the train function; those that follow may take the route's shortest way."""
        route = self._route or self._begin_route()
        result = route.train(self.columns, *args)
        if route.has_news:
            route.has_news = False
            self._report(route.reasons)
        elif self._route is route and (shortest := route.shortest()) is not None:
            self._use(shortest)
        return result

    def _use(self, train: Callable[..., Any]) -> None:
        """Sets what a call of the train function does, besides what meters do."""
        if self._metered is None:
            self._train = train
        else:
            self._metered.train = train

    def _go_long_way(self) -> None:
        """Called when the step has changed."""
        self._use(self._call)

    def prepare(self) -> None:
        """Makes the train function for all columns that are wanted, before the first batch.

        Keras takes the values out of the model's variables then, which it needs for this.
        """
        if self._route is None:
            self._begin_route()

    def stands_for(self, function: Any) -> bool:
        """Whether it replaces a train function."""
        return bool(self._original == function)

    def begin(self, user: Any, fit: Fit, probes: Probes, meters: list[Meter], loud: Kind) -> None:
        """Replaces the model's train function in a `fit()`."""
        if fit.frame != self._frame:
            self._outer.append((self._frame, self.columns))
            self._frame, self.columns = fit.frame, self._new_columns()
            self._reported, self._is_replaced = set(), False
            self._close_route()
        # No hook is called after an exception in a stock list.
        gone = [
            weakref.finalize(owner, _expire, weakref.ref(self), id(user)) for owner in fit.owners
        ]
        for one in gone:
            one.atexit = False
        before = self._users.get(id(user))
        self._users[id(user)] = User(fit.frame, probes, meters, loud, gone)
        for one in [] if before is None else before.gone:
            one.detach()
        is_other = self._route is not None and self._route.probes != self._wanted()
        if is_other or self._meters() != (self._metered.meters if self._metered else ()):
            self._close_route()
        model = self._model()
        if model is not None:
            model.train_function = self._function
            self.columns.function = self._function

    def release(self, user: Any) -> None:
        """Ends one use."""
        self._end(id(user))

    def _end(self, user_id: int) -> None:
        """Ends one use, and restores what the last use of a `fit()` or of all has replaced."""
        user = self._users.pop(user_id, None)
        for one in [] if user is None else user.gone:
            one.detach()
        watched = {user.frame for user in self._users.values()}
        while self._outer and self._frame not in watched:
            self.columns.function = None
            self._frame, self.columns = self._outer.pop()
            self._close_route()
        model = self._model()
        if not self._users and model is not None and model.train_function is self._function:
            model.train_function = self._original

    def _wanted(self) -> Probes:
        """The probes of all uses in the `fit()` that is watched."""
        users = [user for user in self._users.values() if user.frame == self._frame]
        return frozenset[Probe]().union(*(user.probes for user in users))

    def _meters(self) -> tuple[Meter, ...]:
        """The meters of all uses in that `fit()`."""
        users = [user for user in self._users.values() if user.frame == self._frame]
        return tuple(meter for user in users for meter in user.meters)

    def _begin_route(self) -> Route:
        """Finds or makes the route of the columns that are wanted, before the first batch."""
        probes = self._wanted()
        route = self._routes.get(probes)
        if route is None:
            kind = _ROUTES.get(keras.config.backend(), Route)
            made = kind(self._model(), self._original, probes, self._go_long_way)
            route = self._routes[probes] = made
        route.measured = [column for meter in self._meters() for column in meter.columns.items()]
        route.has_news = bool(route.reasons)
        self._route = route
        return route

    def _close_route(self) -> None:
        """Called when the next batches may belong to another `fit()`, or use another route."""
        route, self._route = self._route, None
        if route is not None:
            route.close()
        meters = self._meters()
        self._metered = Metered(meters, self.columns) if meters else None
        self._train = self._metered or self._call
        self._use(self._call)

    def _new_columns(self) -> _core.StepColumns:
        return _core.StepColumns(self._model, self._on_replaced)

    def _on_replaced(self) -> None:
        """Called when other code has replaced the train function while the columns are wanted."""
        self._is_replaced = True
        why = "its train function was replaced in the middle of an epoch"
        self._report({kind: [why] for kind in Kind.ALL})

    def _report(self, reasons: dict[Kind, list[str]]) -> None:
        """Warns once in a fit about each kind of columns that cannot be taken."""
        users = [user for user in self._users.values() if user.frame == self._frame]
        for kind, why in reasons.items():
            loud = any(kind in user.loud for user in users)
            if loud and kind not in self._reported:
                self._reported.add(kind)
                warn(_MESSAGES[kind].format(model=self._name, why="; ".join(why)))


_ROUTES: dict[str, type[Route]] = {
    "jax": JaxRoute,
    "tensorflow": TensorFlowRoute,
    "torch": TorchRoute,
}

_MESSAGES = {
    Kind.LOSS: (
        "fitwatch: the loss of each batch of this {model} cannot be taken: {why}. Keras's running "
        "mean is used instead."
    ),
    Kind.METRIC: (
        "fitwatch: the values that metrics of this {model} have for each batch cannot be taken: "
        "{why}. Keras's running means are used instead."
    ),
    Kind.GRADIENT: "fitwatch: the gradients of this {model} cannot be measured: {why}.",
    Kind.THROUGHPUT: "fitwatch: the speed of this {model} cannot be measured: {why}.",
    Kind.MEMORY: "fitwatch: the memory of this {model} cannot be recorded: {why}.",
    Kind.RATE: "fitwatch: the learning rate of this {model} cannot be recorded: {why}.",
}


def watch(
    user: Any, model: Any, probes: Probes, meters: list[Meter], loud: Kind
) -> StepSource | None:
    """Begins to take columns in the model's `fit()` that is calling, until `release(user)`.

    Called again when an epoch begins, since other code may have changed the train function.

    Args:
        user: The object that wants them. Its `source` is what the last call returned, or None.
        model: The model; None for no model.
        probes: What finds the columns.
        meters: What measures further ones.
        loud: The kinds of columns for which a warning is given if they cannot be taken.

    Returns:
        Their source, shared by all users of a model. None if no `fit()` is calling.
    """
    fit = None if model is None else fit_of(model)
    if fit is None:
        return None
    function = model.train_function
    source: StepSource | None = getattr(function, "_fitwatch_steps", None)
    before: StepSource | None = user.source
    if source is None and before is not None and before.stands_for(function):
        source = before
    if source is None:
        source = StepSource(model)
        with suppress(AttributeError):  # a method takes no attributes
            # Kept as long as the function that it replaces: until the model is compiled again.
            function._fitwatch_steps = source
    source.begin(user, fit, probes, meters, loud)
    return source


def _expire(source: "weakref.ref[StepSource]", user_id: int) -> None:
    """Called when a `fit()` has ended without `release`."""
    alive = source()
    if alive is not None:
        alive._end(user_id)
