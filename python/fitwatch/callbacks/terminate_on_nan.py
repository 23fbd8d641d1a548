"""TerminateOnNaN."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fitwatch import _check, _core
from fitwatch._distributed import rank_aware
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._distributed.output import print_message
from fitwatch._distributed.rank_aware import Agreeing
from fitwatch._engine.missing_metric import missing
from fitwatch._engine.plan import compiled
from fitwatch._warn import warn


class TerminateOnNaN(Agreeing, FitwatchCallback, keras.callbacks.TerminateOnNaN):  # type: ignore[misc]
    """Ends the training when the loss is NaN or infinite.

    Same arguments, decisions and messages as `keras.callbacks.TerminateOnNaN`. Under fitwatch's
    `CallbackList`, on a device that runs ahead of the program, the training goes on for up to
    `max_lag` batches more; the message names the batch where it happened.

    Args:
        raise_error: Whether to raise a RuntimeError, instead of letting the training end with the
            current epoch. Default False.
        monitor: Name of the metric to watch, or a list of names: of the batches', and of the
            epoch's too where they are not the loss (`"val_loss"`). Default `("loss",)`.

    Raises:
        TypeError: `monitor` is neither a name nor a list of names.
        ValueError: `monitor` has no name, or an empty one; `raise_error` is neither True nor False;
            or, when training begins, the callback is in its list twice.
        RuntimeError: With `raise_error=True`, a watched metric is not finite; or another `fit()`
            that is still going on has this callback.

    Differs from Keras:
        - fitwatch's `ModelCheckpoint` and `BackupAndRestore` in the same list save nothing any more
          once a watched metric, or a trained weight, is not finite, and the backup is not
          deleted at the end. Keras overwrites both, and then deletes the backup. (What a callback
          of your own calls by itself, and is not in the list, is not found.)
        - What is wrong is printed once in an epoch.
        - Several processes that train together take one decision: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import TerminateOnNaN
        >>> TerminateOnNaN(raise_error=True, monitor=["loss", "mae"]).monitor
        ['loss', 'mae']
    """

    _fitwatch_spoiled = False
    _fitwatch_unseen: frozenset[str] = frozenset()

    def __init__(
        self, raise_error: bool = False, *, monitor: str | Sequence[str] = ("loss",)
    ) -> None:
        super().__init__(raise_error=_check.flag("raise_error", raise_error))
        self.monitor = _check.names("monitor", monitor)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts over."""
        self._fitwatch.detach()
        self._fitwatch_spoiled = False
        self._fitwatch_unseen = frozenset(self.monitor) - {"loss"}
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Another epoch after a NaN: somebody has decided to go on."""
        self._fitwatch_spoiled = False
        super().on_epoch_begin(epoch, logs)

    @compiled("_fitwatch_compile")
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the batch's loss."""
        self._fitwatch_judge(f"batch {batch}", logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks at the metrics that no batch has; and tells of those that nobody has."""
        super().on_epoch_end(epoch, logs)
        unseen, self._fitwatch_unseen = self._fitwatch_unseen, frozenset()
        for name in unseen - set(logs or {}):
            warn(missing(self, name, logs or {}))
        agreed = rank_aware.agreed(self, logs)
        # In another process it may not have been finite.
        if self.monitor != ["loss"] or agreed is not logs:
            self._fitwatch_judge(f"epoch {epoch + 1}", agreed)

    def _fitwatch_judged(self) -> list[str]:
        return list(self.monitor)

    def has_seen_nan(self, logs: Any) -> bool:
        """Whether a watched metric was not finite in this fit, or is not in these logs.

        Args:
            logs: The logs of a batch or an epoch, a dict, or None.

        Returns:
            True or False; False for a metric that is missing.

        Example:
            >>> from fitwatch.callbacks import TerminateOnNaN
            >>> TerminateOnNaN().has_seen_nan({"loss": float("inf")})
            True
        """
        self._fitwatch.drain()
        return self._fitwatch_spoiled or self._fitwatch_bad(logs) is not None

    def _fitwatch_bad(self, logs: Any) -> str | None:
        """The first watched metric in `logs` that is not finite."""
        there = (name for name in self.monitor if (logs or {}).get(name) is not None)
        return next((name for name in there if not np.all(np.isfinite(logs[name]))), None)

    def _fitwatch_judge(self, where: str, logs: Any) -> None:
        name = self._fitwatch_bad(logs)
        if name is None:
            return
        reported, self._fitwatch_spoiled = self._fitwatch_spoiled, True
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf {name} encountered at {where}. "
                f"{name[0].upper()}{name[1:]} value: {logs[name]}. "
                "Terminating training immediately."
            )
        if not reported:
            place = f"{where[0].upper()}{where[1:]}"
            print_message(f"{place}: Invalid {name}, terminating training")
        rank_aware.stop_training(self)

    def _fitwatch_counts_inside(self) -> bool:
        return True

    def _fitwatch_compile(self, recorder: _core.Recorder) -> Any:
        # The core passes finite numbers over; the hook itself judges the others.
        if not self._fitwatch.attach(recorder):
            return NotImplemented
        return _core.Finite(list(self.monitor)), self.on_batch_end
