"""Something to be done as soon as a module has been imported."""

import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class AfterImport(MetaPathFinder):
    """Calls a function right after a module's first import.

    `fitwatch.enable()` must not import Keras by itself: a script may set `KERAS_BACKEND` before it
    does.

    Args:
        module: Its name.
        action: What is called. An exception comes out of the `import` statement.
    """

    def __init__(self, module: str, action: Callable[[], None]) -> None:
        self._module = module
        self._action = action
        self._looking = False
        sys.meta_path.insert(0, self)

    def cancel(self) -> None:
        """Nothing is called any more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Finds the module as Python does, and looks over its loader's shoulder."""
        if name != self._module or self._looking:
            return None
        self._looking = True
        try:
            spec = find_spec(name)
        finally:
            self._looking = False
        # That somebody looks for a module does not mean that it is imported.
        if spec is not None and spec.loader is not None:
            spec.loader = _NotifyingLoader(spec.loader, self._imported)
        return spec

    def _imported(self) -> None:
        if self in sys.meta_path:
            self.cancel()
            self._action()


class _NotifyingLoader(Loader):
    """A loader, and something that comes after it."""

    def __init__(self, loader: Any, action: Callable[[], None]) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; then what comes after."""
        # From here on nothing shows that anybody looked.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action()
