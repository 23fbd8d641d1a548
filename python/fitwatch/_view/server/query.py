"""The arguments of a request, checked."""

import math
import re
from collections.abc import Container
from typing import NamedTuple
from urllib.parse import parse_qs

MOST_COLUMNS = 1333  # a column has at most three points: low, mean and high
MOST_RUNS = 100
AXES = ("step", "wall", "relative")


class BadRequestError(Exception):
    """A request that cannot be answered; its text has nothing from the request in it."""

    status = "400 Bad Request"


class Window(NamedTuple):
    """Which envelopes are asked for; a bound of None is the first or the last point."""

    tag: str
    runs: list[str]
    axis: str
    start: float | None
    stop: float | None
    columns: int
    halflife: float | None


def since(text: str) -> int | None:
    """The generation that the page has; None for none."""
    given = _arguments(text, ("since",))
    return _integer(given, "since", 0, 2**63) if "since" in given else None


def window(text: str) -> Window:
    """The envelopes that a request asks for."""
    given = _arguments(
        text, ("tag", "run", "axis", "from", "to", "columns", "halflife"), several=("run",)
    )
    if "tag" not in given or "run" not in given:
        raise BadRequestError("expected the arguments 'tag' and 'run'")
    if len(given["run"]) > MOST_RUNS:
        raise BadRequestError(f"expected at most {MOST_RUNS} runs")
    axis = given.get("axis", ["step"])[0]
    if axis not in AXES:
        raise BadRequestError(f"expected 'axis' to be one of {', '.join(AXES)}")
    start, stop = _number(given, "from"), _number(given, "to")
    if start is not None and stop is not None and start > stop:
        raise BadRequestError("expected 'from' to be at most 'to'")
    halflife = _number(given, "halflife")
    if halflife is not None and halflife <= 0:
        raise BadRequestError("expected 'halflife' to be above 0")
    columns = _integer(given, "columns", 1, MOST_COLUMNS) if "columns" in given else MOST_COLUMNS
    return Window(given["tag"][0], given["run"], axis, start, stop, columns, halflife)


def _arguments(
    text: str, known: Container[str], several: Container[str] = ()
) -> dict[str, list[str]]:
    try:
        given = parse_qs(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict",
            max_num_fields=MOST_RUNS + 10,
        )  # fmt: skip
    except ValueError as error:
        raise BadRequestError("the arguments are malformed, or there are too many") from error
    for name, values in given.items():
        if name not in known:
            raise BadRequestError("an argument is unknown")
        if len(values) > 1 and name not in several:
            raise BadRequestError("an argument is given twice")
    return given


def _integer(given: dict[str, list[str]], name: str, low: int, high: int) -> int:
    text = given[name][0]
    # int() takes underscores, spaces, digits of other scripts, and text without end.
    if not re.fullmatch(r"[0-9]{1,19}", text) or not low <= int(text) <= high:
        raise BadRequestError(f"expected '{name}' to be a whole number from {low} to {high}")
    return int(text)


def _number(given: dict[str, list[str]], name: str) -> float | None:
    if name not in given:
        return None
    text = given[name][0]
    if not re.fullmatch(r"[-+]?[0-9.]{1,40}([eE][-+]?[0-9]{1,3})?", text):
        raise BadRequestError(f"expected '{name}' to be a number")
    try:
        value = float(text)
    except ValueError as error:
        raise BadRequestError(f"expected '{name}' to be a number") from error
    if not math.isfinite(value):
        raise BadRequestError(f"expected '{name}' to be finite")
    return value
