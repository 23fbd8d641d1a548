"""TerminateOnNaN."""

from typing import Any

import keras
import numpy as np

from fitwatch import _check, _core, _keras
from fitwatch._drop_in import DropIn
from fitwatch.callbacks._compiled import Compiled, Form, compiled


class TerminateOnNaN(Compiled, keras.callbacks.TerminateOnNaN, metaclass=DropIn):  # type: ignore[misc]
    """Ends the training when the loss is NaN or infinite.

    Same arguments, decisions and messages as `keras.callbacks.TerminateOnNaN`. Under fitwatch's
    `CallbackList`, on a device that runs ahead of the program, the training goes on for up to
    `max_lag` batches more; the message names the batch where it happened.

    Args:
        raise_error: Whether to raise a RuntimeError, instead of letting the training end with the
            current epoch.

    Raises:
        TypeError: `raise_error` is no bool.

    Example:
        >>> from fitwatch.callbacks import TerminateOnNaN
        >>> TerminateOnNaN(raise_error=True).raise_error
        True
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__(raise_error=_check.flag("raise_error", raise_error))

    @compiled("_fitwatch_compile")
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the batch's loss."""
        loss = (logs or {}).get("loss")
        if loss is None or np.all(np.isfinite(loss)):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. "
                f"Loss value: {loss}. Terminating training immediately."
            )
        _keras.print_message(f"Batch {batch}: Invalid loss, terminating training")
        _keras.model_of(self).stop_training = True

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Form:
        # The core passes finite numbers over; the hook itself judges the others.
        return _core.Finite("loss"), self.on_batch_end
