"""The state of `History` in a backup."""

from typing import Any, ClassVar

from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import from_json, whole
from fitwatch._engine.attachment import Attachment


def _epochs(value: Any) -> list[int]:
    """A list of whole numbers."""
    if not isinstance(value, list):
        raise ValueError("a list of whole numbers")
    return [whole(epoch) for epoch in value]


def _history(value: Any) -> dict[str, list[Any]]:
    """A dict of lists."""
    if not isinstance(value, dict) or not all(isinstance(each, list) for each in value.values()):
        raise ValueError("a dict of lists")
    return {name: from_json(values) for name, values in value.items()}


class HistoryState(RunState):
    """The logs of all epochs."""

    fields: ClassVar = {"epoch": Field(_epochs), "history": Field(_history)}

    def put(self, callback: Any, values: dict[str, Any]) -> None:
        # Copies, since the lists grow later.
        callback.epoch = list(values["epoch"])
        callback.history = {name: list(series) for name, series in values["history"].items()}


class Epochs(Attachment):
    """The private part of `History`."""

    def __init__(self) -> None:
        super().__init__()
        self.state = HistoryState()
