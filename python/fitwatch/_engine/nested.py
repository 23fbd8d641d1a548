"""An `evaluate()` inside a `fit()` with the same callback."""

from typing import Any


class Nested:
    """Restores the outer fit's model and params after a nested run.

    A hook may call `model.evaluate(..., callbacks=[this callback])` inside a `fit()`. Keras then
    sets the callback's `model` and `params` to those of the evaluation and leaves them there. Here
    they are restored when the evaluation ends.

    Only the next `on_*_begin` tells whether `set_model` came from a nested evaluation or from the
    next fit: a fit that ended in an exception leaves no trace. An evaluation that follows such a
    fit counts as nested.
    """

    def __init__(self) -> None:
        self.fitting = False
        self._replaced: tuple[Any, Any] | None = None
        self._outer: tuple[Any, Any] | None = None

    def replace(self, callback: Any) -> None:
        """Called before `set_model` replaces the model."""
        self._replaced = (callback._model, callback.params) if self.fitting else None

    def begin_fit(self) -> None:
        """Called when `fit()` begins."""
        self.fitting = True
        self._replaced = self._outer = None

    def end_fit(self) -> None:
        """Called when `fit()` ends."""
        self.fitting = False

    def begin_test(self, callback: Any) -> None:
        """Called when an evaluation begins: the fit's own validation, or a nested one."""
        # A callback list sets model and params; a loop that changes models sets only the model.
        if self._replaced is not None and callback.params is not self._replaced[1]:
            self._outer = self._replaced
        self._replaced = None

    def end_test(self, callback: Any) -> None:
        """Called when an evaluation ends."""
        if self._outer is not None:
            # Without `set_model` and `set_params`, which have side effects.
            callback._model, callback.params = self._outer
            self._outer = None

    def abandon(self, callback: Any, *, fit: bool) -> None:
        """Called when a run ends without its `on_*_end`."""
        if fit:
            self.end_fit()
            self._replaced = self._outer = None
        else:
            self.end_test(callback)
