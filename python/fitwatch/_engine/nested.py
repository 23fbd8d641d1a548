"""An `evaluate()` inside a `fit()` that is handed the same callback."""

from typing import Any


class Nested:
    """Mixin for a Keras callback: gives back the outer fit's model and params after a nested run.

    A hook may call `model.evaluate(..., callbacks=[this callback])` in the middle of a `fit()`.
    Keras then sets the callback's `model` and `params` to those of the evaluation and leaves them
    there. Here they come back when the evaluation ends.

    What has begun is known only at the next `on_*_begin`: a fit that ended in an exception leaves
    no trace, so `set_model` may come from a nested evaluation or from the next fit. An evaluation
    that follows a fit which ended in an exception counts as nested.
    """

    # Defaults on the class, since a subclass may leave them out of a copy.
    _model: Any = None
    params: Any = None
    _fitting = False
    _replaced: tuple[Any, Any] | None = None
    _outer: tuple[Any, Any] | None = None

    def set_model(self, model: Any) -> None:
        """Takes the model, and keeps in mind what it replaces."""
        self._replaced = (self._model, self.params) if self._fitting else None
        super().set_model(model)  # type: ignore[misc]

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitwatch_begin_fit()
        super().on_train_begin(logs)  # type: ignore[misc]

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        self._fitting = False
        super().on_train_end(logs)  # type: ignore[misc]

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation begins: the fit's own validation, or a nested one."""
        # A callback list sets model and params; a loop that changes models sets the model alone.
        if self._replaced is not None and self.params is not self._replaced[1]:
            self._outer = self._replaced
        self._replaced = None
        super().on_test_begin(logs)  # type: ignore[misc]

    def on_test_end(self, logs: Any = None) -> None:
        """Called when an evaluation ends."""
        super().on_test_end(logs)  # type: ignore[misc]
        self._restore_outer()

    def _fitwatch_begin_fit(self) -> None:
        self._fitting = True
        self._replaced = self._outer = None

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        """Called when a run ends without its `on_*_end`."""
        if fit:
            self._fitting = False
            self._replaced = self._outer = None
        else:
            self._restore_outer()

    def _restore_outer(self) -> None:
        if self._outer is not None:
            self._model, self.params = self._outer
            self._outer = None


def set_state(instance: Any, state: Any) -> None:
    """What `__setstate__` does by default, for a state of `object.__getstate__`."""
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    instance.__dict__.update(attributes or {})
    for name, value in slots.items():
        setattr(instance, name, value)
