"""An `evaluate()` inside a `fit()` that is handed the same callback."""

from typing import Any


class Nested:
    """Mixin for a Keras callback: gives back the outer fit's model and params after a nested run.

    A hook may call `model.evaluate(..., callbacks=[this callback])` in the middle of a `fit()`.
    Keras then sets the callback's `model` and `params` to those of the evaluation and leaves them
    there. Here they come back when the evaluation ends.
    """

    _model: Any
    params: Any
    _fitting = False
    _outer: tuple[Any, Any] | None = None

    def set_model(self, model: Any) -> None:
        """Takes the model, and keeps that of an outer fit in mind."""
        self._keep_outer()
        super().set_model(model)  # type: ignore[misc]

    def set_params(self, params: Any) -> None:
        """Takes the params, and keeps those of an outer fit in mind."""
        self._keep_outer()
        super().set_params(params)  # type: ignore[misc]

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins."""
        self._fitting = True
        self._outer = None  # what a fit left behind that ended in an exception
        super().on_train_begin(logs)  # type: ignore[misc]

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        self._fitting = False
        super().on_train_end(logs)  # type: ignore[misc]

    def on_test_end(self, logs: Any = None) -> None:
        """Called when an evaluation ends: the fit's own validation, or a nested one."""
        super().on_test_end(logs)  # type: ignore[misc]
        self._restore_outer()

    def _restore_outer(self) -> None:
        if self._outer is not None:
            self._model, self.params = self._outer
            self._outer = None

    def _keep_outer(self) -> None:
        if self._fitting and self._outer is None:
            self._outer = (self._model, self.params)
