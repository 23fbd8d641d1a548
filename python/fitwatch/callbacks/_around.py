"""Hooks that come before the first and after the last callback of a list."""

from typing import Any


class Before:
    """A hook of a callback list, and what is to be done before it."""

    def __init__(self, hook: Any, owner: Any, action: Any) -> None:
        self.hook = hook
        self.owner = owner
        self._action = action

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Calls the two."""
        self._action(*args, **kwargs)
        self._call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> None:
        try:
            self.hook(*args, **kwargs)
        except BaseException:
            self.owner._fitwatch_failed()
            raise


class After(Before):
    """A hook of a callback list, and what is to be done after it."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Calls the two."""
        self._call(*args, **kwargs)
        self._action(*args, **kwargs)


def surround(callback_list: Any, owner: Any, **hooks: tuple[type[Before], Any]) -> None:
    """Has actions done around the hooks of a list, whatever list it is.

    A callback comes in the middle of the others. What has to find them all before an event, or all
    behind it, cannot be a hook of a callback.

    Args:
        callback_list: The list.
        owner: The callback to which the actions belong; surrounds a list once. Its
            `_fitwatch_failed` is called when an exception goes through one of the hooks.
        hooks: By the name of a hook, `Before` or `After`, and what to do, with the same arguments.
    """
    for name, (when, action) in hooks.items():
        hook = getattr(callback_list, name)
        if not _is_around(hook, owner):
            setattr(callback_list, name, when(hook, owner, action))


def is_surrounded(callback_list: Any, owner: Any) -> bool:
    """Whether a callback has actions around a list."""
    return _is_around(getattr(callback_list, "on_epoch_end", None), owner)


def without_surroundings(hook: Any) -> Any:
    """A hook without what was put around it."""
    while isinstance(hook, Before):
        hook = hook.hook
    return hook


def _is_around(hook: Any, owner: Any) -> bool:
    while isinstance(hook, Before):
        if hook.owner is owner:
            return True
        hook = hook.hook
    return False
