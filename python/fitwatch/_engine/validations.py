"""Tells the callbacks of a list about validations: the hook `on_validation_end(batch, logs)`."""

from typing import Any, Protocol

from fitwatch import _core
from fitwatch._engine.attachment import attachment_of
from fitwatch._keras import stock, trainer
from fitwatch._keras.averaged_weights import evaluated_weights


class Together(Protocol):
    """What several processes do so that all decide the same after a validation."""

    def averaged_validation_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of a validation, with values that are local to a process averaged."""

    def decide_after_validation(self, batch: int) -> None:
        """Agrees on what the callbacks have decided, after this batch of an epoch."""


class Validations:
    """Tells the callbacks of a list about the validations of a run.

    Args:
        count: Counts the batches of the run.

    Attributes:
        epoch: The epoch that is running.
        of_fit: Whether `fit()` has validation data.
        prefix: The prefix of the names of the last validation's metrics: `"val"`.
        values: Its metrics, by name.
        is_epochs_own: Whether `fit()` itself has run it, after an epoch.
        together: Where several processes train, what they do together.
    """

    together: Together | None = None

    def __init__(self, count: _core.BatchCount) -> None:
        self._count = count
        self.epoch = 0
        self.of_fit = False
        self.prefix = ""
        self.values: dict[str, Any] = {}
        self.is_epochs_own = False
        # For each prefix of names: after how many batches the last validation was.
        self._last: dict[str, int] = {}

    @property
    def batch(self) -> int:
        """The last trained batch, from 0 and within its epoch."""
        return max(self._count.inside - 1, 0)

    @property
    def where(self) -> str:
        """Epoch and batch of the last validation, counted from 1, as text for a message."""
        return f"Epoch {self.epoch + 1}, batch {self._count.inside}"

    def begin(self, *, of_fit: bool) -> None:
        """Called when training begins.

        Args:
            of_fit: Whether `fit()` has validation data.
        """
        self.of_fit = of_fit
        self.epoch, self._last = 0, {}

    def are_wanted(self, callbacks: Any) -> bool:
        """Whether a callback makes validations, counts them, or has the hook for them."""
        return any(map(_wants, callbacks))

    def epoch_end(self, callback_list: Any, epoch: int, logs: Any) -> None:
        """Called before the callbacks get the logs of an epoch, which may have a validation's."""
        there = any(str(name).startswith("val_") for name in logs or {})
        if there and self.are_wanted(callback_list.callbacks):
            self.epoch = epoch
            self.tell(callback_list, "val", logs, is_epochs_own=True)

    def tell(
        self,
        callback_list: Any,
        prefix: str,
        logs: dict[str, Any],
        *,
        is_epochs_own: bool,
    ) -> None:
        """Calls the hook of all callbacks, once for a validation after the same batch.

        Args:
            callback_list: The list.
            prefix: That of the validation's metrics: `"val"`.
            logs: The last logs of the training, with the validation's metrics.
            is_epochs_own: Whether `fit()` itself has run the validation, after an epoch.
        """
        seen = self._count.seen
        if self._last.get(prefix) == seen and seen:
            return
        self._last[prefix] = seen
        self.prefix, self.is_epochs_own = prefix, is_epochs_own
        if self.together is not None:
            logs = self.together.averaged_validation_logs(logs)
        own = f"{prefix}_"
        self.values = {name: logs[name] for name in logs if str(name).startswith(own)}
        callbacks = list(callback_list.callbacks)
        with evaluated_weights(callbacks, trainer.model_of(callback_list)):
            for callback in callbacks:
                hook = hook_of(callback)
                if hook is not None:
                    hook(max(seen - 1, 0), logs)
        if self.together is not None and not is_epochs_own:
            self.together.decide_after_validation(self.batch)


def hook_of(callback: Any) -> Any:
    """The callback's `on_validation_end`; None if it has none.

    Looked up in the class and in `__dict__`: a mock has every attribute.
    """
    name = "on_validation_end"
    has = hasattr(type(callback), name) or name in getattr(callback, "__dict__", {})
    return getattr(callback, name) if has else None


def _wants(callback: Any) -> bool:
    attachment, hook = attachment_of(callback), hook_of(callback)
    if attachment is not None and attachment.wants_validations(callback):
        return True
    return hook is not None and not stock.is_library_code(getattr(hook, "__func__", hook))
