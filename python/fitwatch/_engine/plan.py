"""Which hooks of which callbacks are called, and which the core replaces."""

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, TypeVar

from fitwatch import _core
from fitwatch._keras import stock

Hook = TypeVar("Hook", bound=Callable[..., Any])

# A sink of the core (or a `_core.Feed`), and the function for rows that the core cannot handle.
Form = tuple[Any, Callable[..., Any]]

# The older name of a hook: Keras's default hook of the newer name calls it.
ALIASES = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
}


# Returns the form of a hook, given the callback's attachment, the callback and the recorder.
MakeForm = Callable[[Any, Any, Any], Any]

# The hooks that the core can replace, by function object: `functools.wraps` would copy an
# attribute, and a mock has every attribute.
_FORMS: dict[Any, MakeForm] = {}


def compiled(form: MakeForm) -> Callable[[Hook], Hook]:
    """Marks a hook of a fitwatch callback that the core can replace.

    If a subclass or instance has another hook under the same name, or a wrapper around this one,
    that hook is called instead.

    Args:
        form: A method of the callback's attachment, called with the callback and the recorder when
            hooks are planned. It returns a pair of a sink and its action; None if there is nothing
            to do at the moment; or NotImplemented if the Python hook has to be called.
    """

    def mark(hook: Hook) -> Hook:
        _FORMS[hook] = form
        return hook

    return mark


def form_of(callback: Any, hook: Any) -> MakeForm | None:
    """The function that returns the form of a callback's bound hook; None if there is none."""
    if type(hook) is not MethodType or hook.__self__ is not callback:
        return None
    return _FORMS.get(hook.__func__) if stock.is_library_code(hook.__func__) else None


def is_idle(callback: Any) -> bool:
    """Whether the batch hooks of a callback have nothing to do, and no subclass overrides them.

    On JAX and torch, Keras's own list runs batch hooks on other threads, so that the training does
    not wait for the device, unless a callback has a batch hook and is not `async_safe`.
    """
    kinds = ("on_batch_end", *(f"on_{kind}_batch_end" for kind in ("train", "test", "predict")))
    own = [name for name in kinds if not stock.is_default(callback, name)]
    for name in own:
        form = form_of(callback, getattr(callback, name))
        if form is None or has_more(callback, name):
            return False
        if form(callback._fitwatch, callback, None) is not None:
            return False
    return True


def recorder_of(callback_list: Any) -> _core.Recorder | None:
    """The recorder of a compiled list; None for any other list."""
    found = getattr(callback_list, "__dict__", {}).get("_recorder")
    return found if isinstance(found, _core.Recorder) else None


def has_more(callback: Any, hook: str) -> bool:
    """Whether a compiled hook would call a hook of the user's, which must not be skipped."""
    alias = ALIASES.get(hook)
    if alias is not None and not stock.is_default(callback, alias):
        return True
    # A plain loop: this runs for each callback in each epoch.
    for cls in type(callback).__mro__:
        defined = cls.__dict__.get(hook)
        if defined is not None and not stock.is_library_code(defined):
            return True
    return False


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
        bound = decisive = getattr(callback, hook)
        name = hook
        if stock.is_empty(callback, bound):
            name = ALIASES.get(hook, hook)
            decisive = getattr(callback, name)
            if name == hook or stock.is_empty(callback, decisive):
                continue
        make = form_of(callback, decisive)
        if make is None or has_more(callback, name):
            form: Any = NotImplemented
        else:
            form = make(callback._fitwatch, callback, recorder)
        if form is not None:
            planned.append((place, bound, None if form is NotImplemented else form))
    return planned
