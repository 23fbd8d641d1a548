"""Checks of arguments: each function returns the converted value, or raises an error.

Every error names the argument, the allowed values, and the value that was given.
"""

import datetime
import math
import numbers
import operator
import os
from typing import Any

import numpy as np


def _refuse(error: type[Exception], name: str, allowed: str, value: object) -> Exception:
    return error(f"{name} must be {allowed}; got {value!r}.")


def number(name: str, value: Any, allowed: str = "a number") -> float:
    """A real number, possibly infinite but not NaN, as a float."""
    if hasattr(value, "dtype"):  # a scalar of NumPy or of a backend
        is_number = value.shape == () and np.asarray(value).dtype.kind in "iuf"
    else:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number:
        raise _refuse(TypeError, name, allowed, value)
    try:
        as_float = float(value)
    except OverflowError:
        raise _refuse(ValueError, name, allowed, value) from None
    if math.isnan(as_float):
        raise _refuse(ValueError, name, allowed, value)
    return as_float


def number_as_given(name: str, value: Any) -> float:
    """A real number, of which an int stays an int: tools record arguments as text."""
    as_float = number(name, value)
    return value if type(value) is int else as_float


def optional_number(name: str, value: Any) -> float | None:
    """A number, or None."""
    return None if value is None else number(name, value, "a number or None")


def threshold(name: str, value: Any) -> float | str | None:
    """A number, None, or "file"."""
    if value is None or (isinstance(value, str) and value == "file"):
        return value
    return number(name, value, "a number, 'file' or None")


def count(
    name: str, value: Any, minimum: int = 0, *, endless: bool = False, limit: int | None = 2**63
) -> Any:
    """A whole number of at least `minimum` and less than `limit`; with `endless`, also infinity.

    A float with an integral value is accepted, such as the result of a division.
    """
    allowed = f"a whole number of {minimum} or more" + (" (or inf: never)" if endless else "")
    whole = number(name, value, allowed)
    if endless and whole == math.inf:
        return whole
    if not math.isfinite(whole) or whole != math.floor(whole) or whole < minimum:
        raise _refuse(ValueError, name, allowed, value)
    try:
        number_itself = operator.index(value)
    except TypeError:
        number_itself = int(whole)
    if limit is not None and not endless and number_itself >= limit:
        raise _refuse(ValueError, name, f"less than {limit}", value)
    return number_itself


def flag(name: str, value: Any) -> bool:
    """True or False; also accepts None, 0, 1 and NumPy's booleans."""
    plain = value is None or isinstance(value, (bool, np.bool_, int, float, np.number))
    if not plain or value not in (None, 0, 1):
        raise _refuse(ValueError, name, "True or False", value)
    return bool(value)


def frequency(name: str, value: Any) -> int:
    """A number of epochs; 0, None and False stand for never, True for every epoch."""
    if value is None or isinstance(value, bool):
        return int(bool(value))
    return int(count(name, value))


def choice(name: str, value: Any, *allowed: str) -> str:
    """One of the allowed strings."""
    if not isinstance(value, str) or value not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise _refuse(ValueError if isinstance(value, str) else TypeError, name, words, value)
    return value


def unit(value: Any, metrics: list[str]) -> str:
    """`"epoch"`, `"batch"` or `"validation"`; batches have no validation metrics."""
    unit = choice("unit", value, "epoch", "batch", "validation")
    validation = [metric for metric in metrics if metric.startswith("val_")]
    if unit == "batch" and validation:
        raise ValueError(
            "monitor must be a training metric, such as 'loss', with unit='batch'; got "
            f"{validation[0]!r}."
        )
    return unit


def halflife(value: Any) -> float | None:
    """A number above 0, or None."""
    allowed = "a number above 0, or None"
    if value is not None and not 0 < number("halflife", value, allowed) < math.inf:
        raise _refuse(ValueError, "halflife", allowed, value)
    return None if value is None else float(value)


def seconds(name: str, value: Any) -> float | None:
    """A time above 0, in seconds or as a `timedelta`, or None."""
    allowed = "a number of seconds above 0, a timedelta, or None"
    if value is None:
        return None
    delta = isinstance(value, datetime.timedelta)
    time = value.total_seconds() if delta else number(name, value, allowed)
    if not time > 0:
        raise _refuse(ValueError, name, allowed, value)
    return float(time)


def update_frequency(name: str, value: Any) -> Any:
    """`"epoch"`, `"batch"`, or a number of batches."""
    if value in ("epoch", "batch"):
        return value
    if isinstance(value, str):
        raise _refuse(ValueError, name, "'epoch', 'batch' or a whole number of 1 or more", value)
    return count(name, value, minimum=1)


def batch_values(name: str, value: Any, update_freq: Any) -> str:
    """`"batch"` or `"running"`, for callbacks that write batch values."""
    kind = choice(name, value, "batch", "running")
    if kind == "batch" and update_freq == "epoch":
        raise ValueError(
            f"{name} must be 'running' with update_freq='epoch', which writes no batch values; "
            f"got {value!r}."
        )
    return kind


def verbosity(name: str, value: Any) -> Any:
    """A verbosity: a whole number, or a bool."""
    return value if isinstance(value, bool) else count(name, value)


def text(name: str, value: Any, *, empty: bool = False) -> str:
    """A string, which must not be empty by default."""
    if not isinstance(value, str):
        raise _refuse(TypeError, name, "a string", value)
    if not value and not empty:
        raise _refuse(ValueError, name, "a string that is not empty", value)
    return value


def names(name: str, value: Any) -> list[str]:
    """A list of one or more strings that are not empty."""
    several = [value] if isinstance(value, str) else value
    allowed = "the name of a metric, or a list of names"
    if not isinstance(several, (list, tuple)) or not all(isinstance(one, str) for one in several):
        raise _refuse(TypeError, name, allowed, value)
    if not several or not all(several):
        raise _refuse(ValueError, name, allowed, value)
    return list(several)


def path(name: str, value: Any) -> str:
    """A path, as a string; it must not be empty."""
    if not isinstance(value, (str, os.PathLike)):
        raise _refuse(TypeError, name, "a string or a path", value)
    return text(name, os.fspath(value))


def folder(name: str, value: Any) -> str:
    """The path of a local folder."""
    folder = path(name, value)
    if "://" in folder:
        raise _refuse(ValueError, name, "a local folder", folder)
    return folder


def batches(name: str, value: Any) -> Any:
    """A batch number, or a pair of first and last batch, which may be a string as in Keras."""
    if value is False:
        return 0
    parts = value.split(",") if isinstance(value, str) else value
    pair = list(parts) if isinstance(parts, (list, tuple)) else [parts, parts]
    try:
        first, last = (count(name, int(part) if isinstance(part, str) else part) for part in pair)
    except (TypeError, ValueError):
        first, last = 1, 0
    if first > last:
        allowed = "a batch number of 0 or more, or a pair of first and last batch"
        raise _refuse(ValueError, name, allowed, value)
    return value


def labels(name: str, value: Any) -> str | dict[Any, str] | None:
    """A path, or a dict of paths by layer name; None for none."""
    if value is None or value == "":
        return None
    paths = value if isinstance(value, dict) else {"": value}
    if not all(isinstance(one, (str, os.PathLike)) and os.fspath(one) for one in paths.values()):
        raise _refuse(TypeError, name, "a path, or a dict of paths by layer name", value)
    found = {layer: os.fspath(one) for layer, one in paths.items()}
    return found if isinstance(value, dict) else found[""]
