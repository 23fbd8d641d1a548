"""Actions before the first and after the last callback of a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Action = Callable[..., Any]


@dataclass(eq=False)
class WrappedHook:
    """A hook of a callback list, with actions before and after it."""

    hook: Any
    owner: Any
    before: Action | None
    after: Action | None
    failed: Callable[[BaseException], None]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Calls the action before, the hook, and the action after."""
        try:
            if self.before is not None:
                self.before(*args, **kwargs)
            self.hook(*args, **kwargs)
            if self.after is not None:
                self.after(*args, **kwargs)
        except BaseException as error:
            self.failed(error)
            raise


def wrap_hooks(
    callback_list: Any,
    owner: Any,
    *,
    before: dict[str, Action] | None = None,
    after: dict[str, Action] | None = None,
    failed: Callable[[BaseException], None],
) -> None:
    """Adds actions before and after the hooks of any callback list.

    A callback runs between the others. An action that must run before all of them, or after all of
    them, cannot be a hook of a callback.

    Args:
        callback_list: The list.
        owner: The object that the actions belong to; it wraps each hook only once.
        before: Actions to call before a hook, by its name, with the same arguments.
        after: Actions to call after a hook, likewise.
        failed: Called with an exception of a hook or of its actions.
    """
    first, then = before or {}, after or {}
    for name in {**first, **then}:
        hook = getattr(callback_list, name)
        if not _is_wrapped_by(hook, owner):
            wrapped = WrappedHook(hook, owner, first.get(name), then.get(name), failed)
            setattr(callback_list, name, wrapped)


def has_wrapped_hooks(callback_list: Any, owner: Any) -> bool:
    """Whether an object has wrapped the hooks of a list."""
    return _is_wrapped_by(getattr(callback_list, "on_epoch_end", None), owner)


def unwrapped(hook: Any) -> Any:
    """The hook itself, without actions."""
    while isinstance(hook, WrappedHook):
        hook = hook.hook
    return hook


def _is_wrapped_by(hook: Any, owner: Any) -> bool:
    while isinstance(hook, WrappedHook):
        if hook.owner is owner:
            return True
        hook = hook.hook
    return False
