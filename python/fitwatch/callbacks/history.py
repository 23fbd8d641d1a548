"""History."""

from typing import Any

import keras

from fitwatch._checkpoint.history_state import Epochs
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._keras import trainer


class History(FitwatchCallback, keras.callbacks.History):  # type: ignore[misc]
    """Keeps the logs of every epoch; `fit()` returns one.

    Same attributes as `keras.callbacks.History`. A second `fit()` extends `history` and resets
    `epoch`, as in Keras.

    Attributes:
        history: A dict with a list of values for each metric, one for each epoch that had it.
        epoch: A list of the epochs, from 0.

    Raises:
        ValueError: The callback is in its list twice; raised when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - It can be called without a model, and before training begins `epoch` is an empty list.
        - With `BackupAndRestore(exact=True)` in the same list, a resumed run has the earlier epochs
          too.

    Example:
        >>> from fitwatch.callbacks import History
        >>> history = History()
        >>> history.on_epoch_end(0, {"loss": 0.5})
        >>> history.epoch, history.history
        ([0], {'loss': [0.5]})
    """

    _fitwatch_type = Epochs
    _fitwatch: Epochs
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(self) -> None:
        super().__init__()
        # Keras sets it only when training begins.
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps the logs of the epoch."""
        self.epoch.append(epoch)
        history = self.history
        for name, value in (logs or {}).items():
            history.setdefault(name, []).append(value)
        model = trainer.model_of(self)
        if model is not None:
            model.history = self
