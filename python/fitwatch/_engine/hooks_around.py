"""Hooks that come before the first and after the last callback of a list."""

from collections.abc import Callable
from typing import Any

Action = Callable[..., Any]


class WrappedHook:
    """A hook of a callback list, and what is to be done before and after it."""

    def __init__(
        self,
        hook: Any,
        owner: Any,
        before: Action | None,
        after: Action | None,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.hook = hook
        self.owner = owner
        self._failed = failed
        self._before = before
        self._after = after

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Calls all three."""
        try:
            if self._before is not None:
                self._before(*args, **kwargs)
            self.hook(*args, **kwargs)
            if self._after is not None:
                self._after(*args, **kwargs)
        except BaseException as error:
            self._failed(error)
            raise


def wrap_hooks(
    callback_list: Any,
    owner: Any,
    *,
    before: dict[str, Action] | None = None,
    after: dict[str, Action] | None = None,
    failed: Callable[[BaseException], None],
) -> None:
    """Has actions done around the hooks of a list, whatever list it is.

    A callback comes in the middle of the others. What has to find them all before an event, or all
    behind it, cannot be a hook of a callback.

    Args:
        callback_list: The list.
        owner: The object that the actions belong to, which wraps a hook once.
        before: What to do before a hook, by its name, with the same arguments.
        after: The same for what comes after it.
        failed: Called with an exception that comes out of a hook, or of what is done around it.
    """
    first, then = before or {}, after or {}
    for name in {**first, **then}:
        hook = getattr(callback_list, name)
        if not _is_wrapped_by(hook, owner):
            wrapped = WrappedHook(hook, owner, first.get(name), then.get(name), failed)
            setattr(callback_list, name, wrapped)


def has_wrapped_hooks(callback_list: Any, owner: Any) -> bool:
    """Whether an object has actions around a list."""
    return _is_wrapped_by(getattr(callback_list, "on_epoch_end", None), owner)


def unwrapped(hook: Any) -> Any:
    """A hook without what was put around it."""
    while isinstance(hook, WrappedHook):
        hook = hook.hook
    return hook


def _is_wrapped_by(hook: Any, owner: Any) -> bool:
    while isinstance(hook, WrappedHook):
        if hook.owner is owner:
            return True
        hook = hook.hook
    return False
