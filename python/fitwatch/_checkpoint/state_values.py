"""Conversion of a callback's state to JSON values and back."""

import math
import numbers
from typing import Any

import numpy as np

from fitwatch._keras import backend

# The functions that read a value return it in the type that the callback uses, or raise a
# ValueError that says what is allowed.


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


def optional_each(value: Any) -> list[float | None]:
    """A list of numbers, with None for none."""
    if not isinstance(value, list):
        raise ValueError("a list of numbers and None")
    return [optional_number(one) for one in value]


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
    finite = [part for part in pair if part is not None and math.isfinite(part)]
    if not len(pair) == len(finite) == 2 or finite[1] < 0:
        raise ValueError("two numbers or None")
    return finite[0], finite[1]


def progress(value: Any) -> list[tuple[float | None, int, bool, float, float, float | None]]:
    """The progress of metrics.

    For each the best value, the wait, whether it has stalled, a mean and its weight, and the value
    that diverged, which older states lack.
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
    """Converts a value to JSON: NaN and infinities become strings, arrays become lists."""
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
    """The inverse of `to_json`, except that arrays stay lists."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    return float(value) if value in ("inf", "-inf", "nan") else value
