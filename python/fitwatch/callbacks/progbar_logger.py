"""ProgbarLogger."""

from typing import Any

import keras

from fitwatch import _core
from fitwatch._drop_in import DropIn
from fitwatch.callbacks._compiled import Compiled, compiled


class ProgbarLogger(Compiled, keras.callbacks.ProgbarLogger, metaclass=DropIn):  # type: ignore[misc]
    """Prints the metrics to stdout while training goes on.

    Same lines as `keras.callbacks.ProgbarLogger`, drawn by Keras's own bar. Under fitwatch's
    `CallbackList` the bar is called when it is time to draw it, and not for every batch.

    Example:
        >>> from fitwatch.callbacks import ProgbarLogger
        >>> ProgbarLogger().seen
        0
    """

    def __init__(self) -> None:
        self._fitwatch_progress = _core.Progress()
        super().__init__()

    @property
    def seen(self) -> int:
        """The number of the last batch, counted from 1."""
        return self._fitwatch_progress.seen

    @seen.setter
    def seen(self, batch: int) -> None:
        self._fitwatch_progress.seen = batch

    @compiled("_fitwatch_compile_train")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time."""
        super().on_train_batch_end(batch, logs)

    @compiled("_fitwatch_compile_test")
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time and this is no validation inside `fit()`."""
        super().on_test_batch_end(batch, logs)

    @compiled("_fitwatch_compile_predict")
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Draws the bar, if it is time."""
        super().on_predict_batch_end(batch, logs)

    def _fitwatch_compile_train(self, recorder: _core.Recorder) -> Any:
        return self._fitwatch_compile(values=True)

    def _fitwatch_compile_test(self, recorder: _core.Recorder) -> Any:
        return None if self._called_in_fit else self._fitwatch_compile(values=True)

    def _fitwatch_compile_predict(self, recorder: _core.Recorder) -> Any:
        return self._fitwatch_compile(values=False)

    def _fitwatch_compile(self, *, values: bool) -> Any:
        if type(self)._update_progbar is not keras.callbacks.ProgbarLogger._update_progbar:
            return NotImplemented
        self._fitwatch_progress.visible = self.verbose == 1
        self._fitwatch_progress.values = values
        return self._fitwatch_progress, self._draw if values else self._draw_bare

    def _draw(self, batch: int, logs: Any) -> None:
        # Not by way of `seen`, which may be some batches further.
        self._maybe_init_progbar()
        self.progbar.update(batch + 1, list(logs.items()), finalize=False)

    def _draw_bare(self, batch: int, logs: Any) -> None:
        self._draw(batch, {})

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        return {**attributes, "_fitwatch_progress": self._fitwatch_progress.seen}, slots

    def __setstate__(self, state: Any) -> None:
        attributes, _ = state
        self.__dict__.update(attributes)
        self._fitwatch_progress = _core.Progress()
        self._fitwatch_progress.seen = attributes["_fitwatch_progress"]
