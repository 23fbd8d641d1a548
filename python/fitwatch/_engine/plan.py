"""Which hooks of which callbacks have to be called, and which the core does by itself."""

from collections.abc import Callable, Sequence
from functools import cached_property
from types import MethodType
from typing import Any, TypeVar

from fitwatch import _core
from fitwatch._keras import stock

Hook = TypeVar("Hook", bound=Callable[..., Any])

# A sink of the core, and what it calls where the core cannot do it alone.
Form = tuple[Any, Callable[..., Any]]

# The older name of a hook, which Keras's default hook of the newer name calls.
ALIASES = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
}


# The hooks that the core can do instead, and the names of their forms. By the very function: an
# attribute of it would be copied by `functools.wraps`, and a mock has every attribute.
_FORMS: dict[Any, str] = {}


def compiled(form: str) -> Callable[[Hook], Hook]:
    """Marks a hook of a fitwatch callback that the core can do instead.

    A subclass or instance that has another hook under the same name, or a wrapper around this one,
    has no form, so that one is called.

    Args:
        form: The name of a method that is called with the `_core.Recorder` when hooks are planned.
            It returns a pair of a sink and its action; None if there is nothing to do for now; or
            NotImplemented if the Python hook has to be called.
    """

    def mark(hook: Hook) -> Hook:
        _FORMS[hook] = form
        return hook

    return mark


def form_of(callback: Any, hook: Any) -> str | None:
    """The name of the form that the core has for a callback's bound hook; None if it has none."""
    if type(hook) is not MethodType or hook.__self__ is not callback:
        return None
    return _FORMS.get(hook.__func__) if stock.is_library_code(hook.__func__) else None


class Compiled:
    """Mixin for callbacks whose rows come from the core, some batches late.

    The names begin with `_fitwatch`, since subclasses of Keras's callbacks have names of their own.
    """

    _fitwatch_recorder: _core.Recorder | None = None

    def _fitwatch_attach(self, recorder: _core.Recorder) -> bool:
        """Takes rows from a recorder; False if there is one already.

        Rows of two callback lists would come in the wrong order.
        """
        if self._fitwatch_recorder is None:
            self._fitwatch_recorder = recorder
        return self._fitwatch_recorder is recorder

    def _fitwatch_detach(self) -> None:
        self._fitwatch_drain()
        self._fitwatch_recorder = None

    def _fitwatch_drain(self) -> None:
        """Brings everything up to date; called before a tracked attribute is read or written."""
        recorder = self._fitwatch_recorder  # another thread may look while a fit ends
        if recorder is not None:
            recorder.settle()

    def _fitwatch_flush(self) -> None:
        """Called when an exception goes through a callback list: nothing may get lost."""

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        """Called when a run ends without its `on_*_end`.

        Args:
            fit: Whether the run is a `fit()`, and no `evaluate()` or `predict()`.
            interrupted: Whether Ctrl-C has ended it, and no other exception.
        """
        self._fitwatch_detach()
        abandon = getattr(super(), "_fitwatch_abandon", None)
        if abandon is not None:
            abandon(fit=fit, interrupted=interrupted)

    def __getstate__(self) -> Any:
        self._fitwatch_drain()
        state = super().__getstate__()
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        # A copy belongs to no callback list.
        bound = ("_fitwatch_recorder", "_fitwatch_run", "_fitwatch_losses", "_fitwatch_batches")
        return {k: v for k, v in (attributes or {}).items() if k not in bound}, slots


class Idle:
    """Mixin for a `Compiled` callback whose batch hooks have something to do only where asked.

    Keras's own list hands batch hooks to other threads on JAX and torch, so that nobody waits for
    the device; a callback that has one is in the way of that, unless it says that it is safe.
    """

    @cached_property  # so that a subclass may set it
    def async_safe(self) -> bool:
        """Whether the batch hooks have nothing to do, and no subclass has any of its own."""
        kinds = ("on_batch_end", *(f"on_{kind}_batch_end" for kind in ("train", "test", "predict")))
        own = [name for name in kinds if not stock.is_default(self, name)]
        forms = {name: form_of(self, getattr(self, name)) for name in own}
        return all(
            form is not None and not has_more(self, name) and getattr(self, form)(None) is None
            for name, form in forms.items()
        )


def has_more(callback: Any, hook: str) -> bool:
    """Whether somebody's own hook stands behind a compiled one, which calls it in its turn."""
    alias = ALIASES.get(hook)
    if alias is not None and not stock.is_default(callback, alias):
        return True
    defined = (vars(cls)[hook] for cls in type(callback).__mro__ if hook in vars(cls))
    return not all(map(stock.is_library_code, defined))


def plan(
    callbacks: Sequence[Any], hook: str, recorder: _core.Recorder
) -> list[tuple[int, Callable[..., Any], Form | None]]:
    """The callbacks that have to do with a batch hook.

    Returns:
        For each of them, in order: its place in the list, its bound Python hook, and what the core
        does instead; None if the hook has to be called.
    """
    planned = []
    for place, callback in enumerate(callbacks):
        bound = getattr(callback, hook)
        decisive = hook if not stock.is_default(callback, hook) else ALIASES.get(hook, hook)
        if stock.is_default(callback, decisive):
            continue
        name = form_of(callback, getattr(callback, decisive))
        if name is None or has_more(callback, decisive):
            form: Any = NotImplemented
        else:
            form = getattr(callback, name)(recorder)
        if form is not None:
            planned.append((place, bound, None if form is NotImplemented else form))
    return planned
