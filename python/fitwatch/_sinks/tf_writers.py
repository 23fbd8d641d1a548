"""TensorFlow's writers as the default ones of `tf.summary`, while a callback is at work."""

import sys
from typing import Any

from fitwatch import _core
from fitwatch._sinks.event_files import EventFiles
from fitwatch._sinks.tf_summary import SummaryWriter, UserSummaries


class SummaryWriters:
    """Mixin for the `TensorBoard` callback: the names, and the calls, are those of Keras's."""

    update_freq: Any
    _fitwatch_files: EventFiles
    _test_batches: _core.Counter
    _train_batches: _core.Counter
    _user_summaries: list[UserSummaries]

    @property
    def _train_writer(self) -> SummaryWriter:
        return self._fitwatch_files.summary_writer("train")

    @property
    def _val_writer(self) -> SummaryWriter:
        return self._fitwatch_files.summary_writer("validation")

    def _push_writer(self, writer: SummaryWriter, step: int) -> None:
        # Nobody calls tf.summary without having imported TensorFlow.
        if self.update_freq == "epoch" or sys.modules.get("tensorflow") is None:
            return
        if not self._fitwatch_files.writes:
            return
        counter = self._train_batches if writer is self._train_writer else self._test_batches
        opened = writer.try_open()
        if opened is not None:
            self._user_summaries.append(UserSummaries(opened, counter, self.update_freq))

    def _pop_writer(self) -> None:
        if self._user_summaries:
            self._user_summaries.pop().close()
