"""The runs that a page shows: read in the background, refreshed when a page asks."""

import json
import math
import threading
import time
from collections import deque
from typing import Any, NamedTuple

from fitwatch import _core

REFRESH_SECONDS = 0.5
RETRY_SECONDS = 2.0  # after a failed first read: an empty folder may get files
EVENT_PREFIX = "fitwatch/"


class Run(NamedTuple):
    """What the page is told about a run."""

    version: int
    generation: int  # of the source, when the run last changed
    start: float | None  # the first wall time
    tags: dict[str, dict[str, Any]]  # summaries
    json: str


class RunSource:
    """The runs under a path. All methods may be called from any thread.

    Args:
        path: A folder of runs, or one file.

    Attributes:
        runs: By name, as of the last refresh; the dictionary is replaced, never changed.
        reader: Gives the envelopes; None until the first read is done.
    """

    def __init__(self, path: str) -> None:
        self.runs: dict[str, Run] = {}
        self.reader: _core.RunReader | None = None
        self._path = path
        # Larger than any of an earlier server, to which a page that is still open has talked.
        self._generation = self._first_generation = time.time_ns() // 1_000_000
        self._removed: dict[str, int] = {}
        self._warnings: deque[str] = deque(maxlen=20)
        self._error: OSError | ValueError | None = None
        self._thread: threading.Thread | None = None
        self._looked = -math.inf
        self._starting = threading.Lock()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the first read, unless it is under way or done; again if it has just failed."""
        with self._starting:
            if self.reader is not None or self.reading:
                return
            if time.monotonic() - self._looked < RETRY_SECONDS:
                return
            self._thread = threading.Thread(target=self._read, name="fitwatch-read", daemon=True)
            self._thread.start()

    @property
    def reading(self) -> bool:
        """Whether the first read is under way."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> None:
        """Waits for the first read, at most so long.

        Raises:
            OSError: The path cannot be read.
            ValueError: There is nothing to read.
        """
        if self._thread is not None:
            self._thread.join(seconds)
        if self._error is not None:
            raise self._error

    def answer(self, since: int | None) -> str:
        """The runs that changed since a generation, or all, as JSON."""
        if self.reader is None:
            self.start()
        with self._lock:
            self._refresh()
            # A generation of another server is worth nothing.
            after = since or 0
            if not self._first_generation <= after <= self._generation:
                after = 0
            runs = [run.json for run in self.runs.values() if run.generation > after]
            removed = [name for name, at in self._removed.items() if at > after]
            warnings = [*self._warnings]
            if self._error is not None:
                warnings.append(str(self._error))
            rest = {
                "generation": self._generation,
                "all": after == 0,
                "reading": self.reading,
                "removed": removed,
                "warnings": warnings,
            }
        return f'{json.dumps(rest)[:-1]}, "runs": [{", ".join(runs)}]}}'

    def _read(self) -> None:
        try:
            reader = _core.RunReader(self._path, links_outside=False)
        except (OSError, ValueError) as error:
            self._error = error
        else:
            with self._lock:
                self._update(reader)
                self._error, self.reader = None, reader
        finally:
            self._looked = time.monotonic()

    def _refresh(self) -> None:
        if self.reader is None or time.monotonic() - self._looked < REFRESH_SECONDS:
            return
        try:
            if self.reader.refresh():
                self._update(self.reader)
        except (OSError, ValueError) as error:
            self._warn(str(error))
        self._looked = time.monotonic()

    def _update(self, reader: _core.RunReader) -> None:
        self._generation += 1
        runs = {}
        for name in reader.names():
            version, before = reader.version(name), self.runs.get(name)
            if before is None or before.version != version:
                runs[name] = _describe(reader, name, version, self._generation)
            else:
                runs[name] = before
            self._removed.pop(name, None)
        self._removed.update(dict.fromkeys(self.runs.keys() - runs.keys(), self._generation))
        self.runs = runs
        for warning in reader.take_warnings():
            self._warn(warning)

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def _describe(reader: _core.RunReader, name: str, version: int, generation: int) -> Run:
    tags = {summary["tag"]: summary for summary in reader.summary(name)}
    times = [summary["first_time"] for summary in tags.values()]
    start = min((at for at in times if at is not None), default=None)
    events = [
        {
            "kind": tag.removeprefix(EVENT_PREFIX),
            "step": step,
            "wall_time": wall_time,
            "text": " ".join(lines),
        }
        for tag, texts in reader.texts(name).items()
        if tag.startswith(EVENT_PREFIX)
        for step, wall_time, lines in texts
    ]
    shown = {
        "name": name,
        "start": start,
        "tags": [*tags.values()],
        "hparams": reader.hparams(name),
        "events": events,
    }
    return Run(version, generation, start, tags, json.dumps(_valid(shown), allow_nan=False))


def _valid(value: Any) -> Any:
    """The value, with texts for the numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _valid(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return value
