"""TerminateOnNaN."""

from collections.abc import Sequence
from typing import Any

import keras

from fitwatch import _check
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._monitors.nan import NanWatch


class TerminateOnNaN(FitwatchCallback, keras.callbacks.TerminateOnNaN):  # type: ignore[misc]
    """Ends the training when the loss is NaN or infinite.

    Same arguments, decisions and messages as `keras.callbacks.TerminateOnNaN`. Under fitwatch's
    `CallbackList`, on a device that runs ahead of the program, the training may go on for up to
    `max_lag` more batches; the message names the batch that had the NaN.

    Args:
        raise_error: Whether to raise a RuntimeError, instead of letting the training end with the
            current epoch. Default False.
        monitor: Name of the metric to watch, or a list of names. They are looked up in the logs of
            batches, and except for the loss also in those of epochs (`"val_loss"`). Default
            `("loss",)`.

    Raises:
        TypeError: `monitor` is neither a name nor a list of names.
        ValueError: `monitor` has no name, or an empty one; `raise_error` is neither True nor False;
            or, when training begins, the callback is in its list twice.
        RuntimeError: With `raise_error=True`, a watched metric is not finite; or another running
            `fit()` uses this callback.

    Differs from Keras:
        - fitwatch's `ModelCheckpoint` and `BackupAndRestore` in the same list no longer save once a
          watched metric, or a trained weight, is not finite, and the backup is not deleted at the
          end. Keras overwrites both, and then deletes the backup. (This does not apply to callbacks
          that user code calls and that are not in the list.)
        - The message is printed once in an epoch.
        - Several processes that train together take the same decisions: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import TerminateOnNaN
        >>> TerminateOnNaN(raise_error=True, monitor=["loss", "mae"]).monitor
        ['loss', 'mae']
    """

    _fitwatch_type = NanWatch
    _fitwatch: NanWatch

    def __init__(
        self, raise_error: bool = False, *, monitor: str | Sequence[str] = ("loss",)
    ) -> None:
        super().__init__(raise_error=_check.flag("raise_error", raise_error))
        self.monitor = _check.names("monitor", monitor)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a new run."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)

    @compiled(NanWatch.form)
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Checks the metrics of the batch."""
        self._fitwatch.see(self, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Checks the metrics of the epoch; warns about those that do not exist."""
        super().on_epoch_end(epoch, logs)
        self._fitwatch.report_missing(self, logs or {})
        averaged = rank_aware.averaged_logs(self, logs)
        # An average includes the values of other processes, which may not be finite.
        if self.monitor != ["loss"] or averaged is not logs:
            self._fitwatch.judge(self, f"epoch {epoch + 1}", averaged)

    def has_seen_nan(self, logs: Any) -> bool:
        """Whether a watched metric was not finite in this epoch, or is not finite in these logs.

        Args:
            logs: The logs of a batch or an epoch, a dict, or None.

        Returns:
            True or False; a missing metric counts as finite.

        Example:
            >>> from fitwatch.callbacks import TerminateOnNaN
            >>> TerminateOnNaN().has_seen_nan({"loss": float("inf")})
            True
        """
        self._fitwatch.drain()
        return self._fitwatch.is_spoiled or self._fitwatch.first_nonfinite(self, logs) is not None
