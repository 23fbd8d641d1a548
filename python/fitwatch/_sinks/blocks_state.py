"""What a backup keeps of a `BlockLogger`."""

import base64
from typing import Any, ClassVar

import numpy as np

from fitwatch._checkpoint.run_state import Field, RunState
from fitwatch._checkpoint.state_values import from_json, to_json
from fitwatch._sinks.block import KINDS, Block
from fitwatch._sinks.tracker import Tracker


def _waiting(value: Any) -> list[Block]:
    try:
        return [_from_json(**block) for block in value]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError("a list of blocks, each with its kind and its columns") from None


def _tracker(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a dict")
    return dict(from_json(value))


class BlocksState(RunState):
    """The rows that are not delivered, and what a tracker knows of its run."""

    fields: ClassVar = {"waiting": Field(_waiting), "tracker": Field(_tracker)}

    def take(self, callback: Any) -> dict[str, Any]:
        action = callback.action
        return {
            "waiting": [_to_json(block) for block in callback._fitwatch.waiting()],
            "tracker": to_json(action.state) if isinstance(action, Tracker) else {},
        }

    def put(self, callback: Any, values: dict[str, Any]) -> None:
        callback._fitwatch.keep(values["waiting"])
        if isinstance(callback.action, Tracker):
            callback.action.state = values["tracker"]

    def forget(self, callback: Any) -> None:
        super().forget(callback)
        callback._fitwatch.kept = []


def _to_json(block: Block) -> dict[str, Any]:
    columns = {name: base64.b64encode(values.tobytes()).decode() for name, values in block.items()}
    return {"kind": block.kind, "columns": columns}


def _from_json(kind: Any, columns: dict[str, str]) -> Block:
    if kind not in KINDS:
        raise ValueError
    decoded = {name: base64.b64decode(text, validate=True) for name, text in columns.items()}
    steps, epochs = (np.frombuffer(decoded.pop(name), np.int64) for name in ("step", "epoch"))
    values = {name: np.frombuffer(one, np.float64) for name, one in decoded.items()}
    if not len(steps) or any(len(one) != len(steps) for one in (epochs, *values.values())):
        raise ValueError
    return Block(kind, steps, epochs, values.pop("wall_time"), values)
