"""State of a callback that can be taken, kept as JSON, and set."""

import math
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fitwatch._engine.attachment import Attachment
from fitwatch._keras import backend

VERSION = 1


class Stateful:
    """Mixin for a Keras callback: `state_dict()` and `load_state_dict()`.

    The state is what a callback has found out while it ran (a wait, a best value), not the
    arguments that it was made with, nor weights. Every value is one that JSON knows; infinities and
    NaN are text.
    """

    # The attributes that make up the state, and what reads each of them back.
    _fitwatch_state: ClassVar[dict[str, Callable[[Any], Any]]] = {}
    # Those that states of earlier versions do not have.
    _fitwatch_added: ClassVar[frozenset[str]] = frozenset()
    _fitwatch: Attachment
    _fitwatch_loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Takes the state.

        Returns:
            A dict that `json` can write: a copy, with a class name and a version.
        """
        self._fitwatch.drain()
        return {"class": self._fitwatch_class(), "version": VERSION, **self._fitwatch_take()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets the state.

        Loaded before a `fit()`, or while one begins, it is what that `fit()` goes on from; the next
        one starts fresh as ever.

        Args:
            state: What `state_dict()` gave, of this class and a version that is not newer.

        Raises:
            TypeError: `state` is no dict.
            ValueError: It is no state of this class, or of another version, or damaged. Nothing has
                been changed then.
        """
        self._fitwatch.drain()
        values = self._fitwatch_checked(state)
        self._fitwatch_set(values)
        self._fitwatch_loaded = values

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit()` begins: everything starts over, but for a state just loaded."""
        super().on_train_begin(logs)  # type: ignore[misc]
        if self._fitwatch_loaded is not None:
            self._fitwatch_set(self._fitwatch_loaded)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called when an epoch begins."""
        self._fitwatch_loaded = None
        super().on_epoch_begin(epoch, logs)  # type: ignore[misc]

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit()` ends."""
        self._fitwatch_loaded = None
        super().on_train_end(logs)  # type: ignore[misc]

    def _fitwatch_class(self) -> str:
        ours = (c for c in type(self).__mro__ if c.__module__.startswith("fitwatch.callbacks."))
        return next(ours, type(self)).__name__

    def _fitwatch_arrays(self) -> list[Any]:
        """What belongs to the state, and is no JSON: weights. For a backup."""
        return []

    def _fitwatch_load_arrays(self, arrays: list[Any]) -> None:
        """Takes it back, after the state was loaded."""

    def _fitwatch_begin_inside(self, trained: int) -> None:
        """Called before an epoch of which so many batches were trained already."""

    def _fitwatch_take(self) -> dict[str, Any]:
        """The values of the state."""
        return {name: to_json(getattr(self, name)) for name in self._fitwatch_state}

    def _fitwatch_set(self, values: dict[str, Any]) -> None:
        """Sets values that were checked."""
        for name, value in values.items():
            setattr(self, name, value)

    def _fitwatch_checked(self, state: Any) -> dict[str, Any]:
        """The values of a state, if it is one of this class."""
        name = self._fitwatch_class()
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict of {name}.state_dict(); got {state!r}.")
        if state.get("class") != name:
            raise ValueError(f"state must be one of {name}; got one of {state.get('class')!r}.")
        version = state.get("version")
        if type(version) is not int or version != VERSION:
            raise ValueError(
                f"state of {name} has version {version!r}; this fitwatch knows version {VERSION}."
            )
        missing = [
            key for key in self._fitwatch_state if key not in {*state, *self._fitwatch_added}
        ]
        if missing:
            raise ValueError(f"state of {name} is damaged: it has no {', '.join(missing)}.")
        values = {}
        for key, read in self._fitwatch_state.items():
            if key not in state:
                continue
            try:
                values[key] = read(state[key])
            except ValueError as allowed:
                raise ValueError(
                    f"state of {name} is damaged: {key} must be {allowed}; got {state[key]!r}."
                ) from None
        return values


# What reads a value of a state: gives it back as the callback has it, or raises a ValueError that
# says what is allowed.


def whole(value: Any) -> int:
    """A whole number of 0 or more."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a whole number of 0 or more")
    return value


def integer(value: Any) -> int:
    """A whole number."""
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError("a whole number")
    return value


def optional_whole(value: Any) -> int | None:
    """A whole number of 0 or more, or None."""
    return None if value is None else whole(value)


def optional_number(value: Any) -> float | None:
    """A number or None."""
    value = from_json(value)
    if value is not None and type(value) not in (int, float):
        raise ValueError("a number or None")
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise ValueError("a number or None") from None


def time(value: Any) -> float:
    """Seconds, 0 or more."""
    if type(value) not in (int, float) or not 0 <= value < 1e18:
        raise ValueError("a number of seconds")
    return float(value)


def mean(value: Any) -> tuple[float, float] | None:
    """A mean of values and the sum of their weights, or None."""
    if value is None:
        return None
    pair = [optional_number(part) for part in value] if isinstance(value, (list, tuple)) else []
    if len(pair) != 2 or not all(part is not None and math.isfinite(part) for part in pair):
        raise ValueError("two numbers or None")
    average, weight = pair
    if average is None or weight is None or weight < 0:
        raise ValueError("two numbers or None")
    return average, weight


def progress(value: Any) -> list[tuple[float | None, int, bool, float, float, float | None]]:
    """What metrics have come to.

    Of each the best value, the wait, whether it is over, a mean and its weight, and the value that
    has diverged, which older states do not have.
    """
    try:
        return [_progress(*one) for one in value]
    except (TypeError, ValueError):
        raise ValueError("a list with six values for each metric") from None


def _progress(
    best: Any, wait: Any, over: Any, average: Any, weight: Any, diverged_at: Any = None
) -> tuple[float | None, int, bool, float, float, float | None]:
    smoothed = mean((average, weight))
    if type(over) is not bool or smoothed is None:
        raise ValueError
    return optional_number(best), integer(wait), over, *smoothed, optional_number(diverged_at)


def to_json(value: Any) -> Any:
    """A value as JSON knows it: text for what is no finite number, lists for arrays."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):  # NumPy's are
        return int(value)
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    value = backend.to_number(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    return str(value)


def from_json(value: Any) -> Any:
    """The same back, but for arrays, which stay lists."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    return float(value) if value in ("inf", "-inf", "nan") else value
