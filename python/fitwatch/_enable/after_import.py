"""An action right after the import of a module."""

import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# Called when the import of `fitwatch.callbacks` is complete.
postponed: list[Callable[[], None]] = []


class AfterImport(MetaPathFinder):
    """Calls a function right after a module's first import.

    `fitwatch.enable()` must not import Keras itself: a script may set `KERAS_BACKEND` before its
    import.

    Args:
        module: The name of the module.
        action: The function. The `import` statement raises its exceptions.
    """

    def __init__(self, module: str, action: Callable[[], None]) -> None:
        self._module = module
        self._action = action
        self._looking = False
        sys.meta_path.insert(0, self)

    def cancel(self) -> None:
        """Cancels the call."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Finds the module as Python does, and wraps its loader."""
        if name != self._module or self._looking:
            return None
        self._looking = True
        try:
            spec = find_spec(name)
        finally:
            self._looking = False
        # A search for a module does not mean that it is imported: only its loader knows.
        if spec is not None and spec.loader is not None:
            spec.loader = _NotifyingLoader(spec.loader, self._imported)
        return spec

    def _imported(self) -> None:
        if self in sys.meta_path:
            self.cancel()
            self._action()


class _NotifyingLoader(Loader):
    """A loader that calls a function after the import."""

    def __init__(self, loader: Any, action: Callable[[], None]) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Creates the module as the loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module as the loader does, and calls the function."""
        # The module must not show that its loader was wrapped.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action()


def run_postponed() -> None:
    """Runs the actions that wait for `fitwatch.callbacks`; called at the end of its import."""
    while postponed:
        postponed.pop()()
