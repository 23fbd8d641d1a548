"""The table of where the time of `fit()` went."""

from collections.abc import Iterable


def time_report(
    *,
    steps: float,
    data_wait: float | None,
    validation: float,
    saving: float,
    callbacks: Iterable[tuple[str, float]],
    rest: float,
) -> str:
    """The time that each part of `fit()` took: seconds and share, the largest first.

    Args:
        steps: Seconds in training steps, without waiting for data.
        data_wait: Seconds of waiting for data; None if it is not known, and part of `steps`.
        validation: Seconds of validation.
        saving: Seconds of saving checkpoints.
        callbacks: The name of each callback, and the seconds that its hooks took.
        rest: Seconds of everything else.
    """
    parts = [
        ("training steps" if data_wait is not None else "training steps and their data", steps),
        ("waiting for data", data_wait or 0.0),
        ("validation", validation),
        ("saving checkpoints", saving),
        *((f"callback {name}", seconds) for name, seconds in callbacks),
        ("other", rest),
    ]
    parts = sorted((part for part in parts if part[1] > 0), key=lambda part: part[1], reverse=True)
    total = sum(seconds for _, seconds in parts)
    rows = [
        (name, f"{seconds:,.2f} s", f"{seconds / (total or 1):.1%}")
        for name, seconds in [*parts, ("total", total)]
    ]
    name, seconds, share = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"  {a:<{name}}  {b:>{seconds}}  {c:>{share}}" for a, b, c in rows]
    return "\n".join(["Where the time of fit() went:", *lines])
