"""The private part of `TerminateOnNaN`."""

from functools import lru_cache
from typing import Any

import numpy as np

from fitwatch import _core
from fitwatch._distributed import rank_aware
from fitwatch._distributed.voter import Voter
from fitwatch._distributed.world import print_message
from fitwatch._engine import readers
from fitwatch._engine.attachment import Attachment
from fitwatch._engine.missing_metric import missing
from fitwatch._engine.plan import Form
from fitwatch._warn import warn


class NanWatch(Attachment, Voter):
    """The private part of `TerminateOnNaN`.

    Attributes:
        is_spoiled: Whether a watched metric was not finite in this epoch.
    """

    is_spoiled = False
    # Watched metrics that are not known to exist yet in this fit.
    _unseen: frozenset[str] = frozenset()

    def begin(self, callback: Any) -> None:
        """Called when training begins."""
        self.detach()
        self.is_spoiled = False
        self._unseen = frozenset(callback.monitor) - {"loss"}

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        """Called when an epoch begins: other code has decided to go on after a NaN."""
        self.is_spoiled = False

    def monitored(self, callback: Any) -> list[str]:
        return list(callback.monitor)

    def decides_within_epoch(self, callback: Any) -> bool:
        return True

    def first_nonfinite(self, callback: Any, logs: Any) -> str | None:
        """The first watched metric in `logs` that is not finite."""
        there = (name for name in callback.monitor if (logs or {}).get(name) is not None)
        return next((name for name in there if not np.all(np.isfinite(logs[name]))), None)

    def judge(self, callback: Any, where: str, logs: Any) -> None:
        """Ends the training if a watched metric is not finite.

        Raises:
            RuntimeError: One is not finite, and the callback has `raise_error`.
        """
        name = self.first_nonfinite(callback, logs)
        if name is None:
            return
        reported, self.is_spoiled = self.is_spoiled, True
        if callback.raise_error:
            raise RuntimeError(
                f"NaN or Inf {name} encountered at {where}. "
                f"{name[0].upper()}{name[1:]} value: {logs[name]}. "
                "Terminating training immediately."
            )
        if not reported:
            place = f"{where[0].upper()}{where[1:]}"
            print_message(f"{place}: Invalid {name}, terminating training")
        rank_aware.stop_training(callback, f"invalid {name} at {where}")

    def see(self, callback: Any, batch: int, logs: Any) -> None:
        """Looks at the metrics of a batch."""
        feed, judge = self._form(callback)
        feed.push(batch, logs, judge, readers.reader())

    def form(self, callback: Any, recorder: _core.Recorder) -> Any:
        """The compiled form of `on_batch_end`."""
        return self._form(callback) if self.attach(recorder) else NotImplemented

    def _form(self, callback: Any) -> Form:
        # The core ignores finite numbers; other values are judged here.
        feed = _finite(tuple(callback.monitor))
        return feed, lambda batch, logs: self.judge(callback, f"batch {batch}", logs)

    def report_missing(self, callback: Any, logs: dict[str, Any]) -> None:
        """Warns, once in a fit, about watched metrics that neither batches nor epochs have."""
        unseen, self._unseen = self._unseen, frozenset()
        for name in unseen - set(logs):
            warn(missing(callback, name, logs))


@lru_cache
def _finite(metrics: tuple[str, ...]) -> _core.Feed:
    return _core.Feed(_core.Finite(list(metrics)))
