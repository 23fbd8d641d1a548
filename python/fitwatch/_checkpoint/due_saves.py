"""The saves that are due in a run, and the metrics that decide about them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fitwatch import _files


@dataclass
class DueSaves:
    """When a due save is decided, and which files it may replace.

    A metric that judges a save, or names its file, may appear only in the logs of the epoch.
    Collections are replaced and never mutated, since copies share them.
    """

    is_put_off: bool = False
    """Whether a due save is deferred to the end of the epoch."""
    has_judged: bool = False
    """Whether the monitored metric has had a value that was judged."""
    brought: frozenset[str] = frozenset()
    """Names that the logs of some epoch have had."""
    lacked: frozenset[str] = frozenset()
    """Names that the logs of no epoch have had so far."""
    unjudged: frozenset[str] = frozenset()
    """Files of this run that were saved without a value."""
    validates: bool | None = None
    """Whether this `fit()` has validation data; None in a custom loop."""
    validated: bool = False
    """Whether a validation has run in this `fit()`."""
    last_batch: int | None = None
    """The last batch of the epoch that a Python hook has seen, from 0."""

    def begin(self, *, validates: bool | None) -> None:
        """Called when training begins: forgets the metrics of the last one."""
        self.is_put_off = self.validated = False
        self.brought = self.lacked = frozenset()
        self.last_batch = None
        self.validates = validates

    def may_come(self, name: str) -> bool:
        """Whether a metric that a batch lacks may be in the logs of the epoch."""
        if name in self.brought:
            return True
        if name.startswith("val_") and self.validates is not None:
            return self.validates
        return name not in self.lacked

    def will_come(self, name: str, logs: dict[str, Any]) -> bool:
        """Whether a validation will provide the metric, at the end of this epoch or later."""
        if not name.startswith("val_"):
            return False
        # Metrics that only the test step has are known once a validation has run.
        expected = name.removeprefix("val_") in logs or not self.validated
        return name in self.brought or (bool(self.validates) and expected)

    def note_validation(self, logs: dict[str, Any]) -> bool:
        """Notes the logs of an epoch; returns whether they are the first with a validation."""
        before = self.validated
        self.validated = before or any(str(name).startswith("val_") for name in logs)
        return self.validated and not before

    def end_epoch(self, names: Iterable[str], logs: dict[str, Any]) -> None:
        """Called when an epoch has ended with these logs."""
        there = frozenset(name for name in names if logs.get(name) is not None)
        self.brought |= there
        self.lacked = (self.lacked | frozenset(names)) - self.brought

    def is_own(self, path: str) -> bool:
        """Whether this run has saved the file without a value."""
        return _absolute(path) in self.unjudged

    def saving(self, path: str, *, judged: bool) -> None:
        """Notes that a file is about to be saved, with a value or without."""
        self.has_judged = self.has_judged or judged
        own = frozenset([_absolute(path)])
        self.unjudged = self.unjudged - own if judged else self.unjudged | own

    def state(self) -> dict[str, Any]:
        """The state for a resumed run, as JSON."""
        return {
            "is_put_off": self.is_put_off,
            "has_judged": self.has_judged,
            **{name: sorted(getattr(self, name)) for name in _NAMES},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Sets the result of `read`."""
        for name, value in state.items():
            setattr(self, name, value)


_FLAGS = ("is_put_off", "has_judged")
_NAMES = ("brought", "lacked", "unjudged")


def read(state: Any) -> dict[str, Any]:
    """Reads a `DueSaves.state()`; raises a ValueError that says what is allowed."""
    allowed = ValueError(f"a dict of {', '.join([*_FLAGS, *_NAMES])}")
    if not isinstance(state, dict) or state.keys() != {*_FLAGS, *_NAMES}:
        raise allowed
    lists = [state[name] for name in _NAMES]
    if any(type(state[name]) is not bool for name in _FLAGS) or any(
        not isinstance(names, list) or any(type(name) is not str for name in names)
        for names in lists
    ):
        raise allowed
    return {name: state[name] for name in _FLAGS} | {
        name: frozenset(state[name]) for name in _NAMES
    }


def _absolute(path: str) -> str:
    return path if _files.is_remote(path) else os.path.abspath(path)
