"""What callbacks do where several processes train together."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from fitwatch._distributed import coordinator
from fitwatch._distributed.coordinator import Agreement
from fitwatch._distributed.world import is_writer
from fitwatch._keras import trainer


class Together:
    """Mixin for a Keras callback: what processes agree on, and who writes."""

    _model: Any
    verbose: Any
    _fitwatch_run: Any
    # Whether this process writes nothing, found out when training begins.
    _fitwatch_is_silent = False

    def set_model(self, model: Any) -> None:
        """Takes the model."""
        super().set_model(model)  # type: ignore[misc]
        self._fitwatch_is_silent = not is_writer(model)

    def _fitwatch_agreement(self) -> Agreement | None:
        """How the processes of this training agree; None if it is one."""
        run = self._fitwatch_run
        callback_list = None if run is None else run.callback_list
        return None if callback_list is None else coordinator.agreement_of(callback_list)

    def _fitwatch_agreed(self, logs: Any) -> Any:
        """The logs of an epoch, with averages where each process has values of its own."""
        agreement = self._fitwatch_agreement()
        return logs if agreement is None else agreement.agreed(self, logs or {})

    def _fitwatch_stop_training(self) -> None:
        """Ends the training; inside an epoch, when all processes have agreed on it."""
        agreement = self._fitwatch_agreement()
        if agreement is None:
            trainer.model_of(self).stop_training = True
        else:
            agreement.stop()

    @contextmanager
    def _fitwatch_saving(self) -> Iterator[None]:
        """While this process saves the model by itself: the others wait for it, and it for none."""
        agreement = self._fitwatch_agreement()
        with trainer.undistributed(), nullcontext() if agreement is None else agreement.busy():
            yield

    @contextmanager
    def _fitwatch_quietly(self) -> Iterator[None]:
        """Keeps Keras's own code from printing where rank 0 does."""
        if not self._fitwatch_is_silent:
            yield
            return
        verbose = self.verbose
        self.verbose = 0
        try:
            yield
        finally:
            self.verbose = verbose


class Agreeing:
    """Mixin for a callback that decides, and has to decide the same in all processes."""

    def _fitwatch_is_needed(self) -> bool:
        """Whether each process has to have it: it changes the model."""
        return False

    def _fitwatch_judged(self) -> list[str]:
        """The names of the metrics of an epoch that it judges."""
        return []

    def _fitwatch_counts_inside(self) -> bool:
        """Whether it may decide inside an epoch."""
        return False
