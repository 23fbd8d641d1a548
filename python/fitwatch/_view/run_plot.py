"""The picture of one tag of a recorded run."""

from typing import TYPE_CHECKING, Any

from fitwatch import _check
from fitwatch._view import plot
from fitwatch._view.curve import Curve

if TYPE_CHECKING:
    from fitwatch._view.runs import Run


def draw(run: "Run", tag: str, path: Any, title: str | None) -> Any:
    """See `Run.plot`."""
    scalars = run.scalars[tag]
    validation = run.scalars.get(f"val_{tag}")
    curve = Curve(
        scalars.values,
        first=int(scalars.steps[0]) if len(scalars) else 0,
        steps=scalars.steps,
        validation=[]
        if validation is None
        else list(zip(validation.steps.tolist(), validation.values.tolist(), strict=True)),
    )
    title = run.name if title is None else title
    figure = plot.draw(curve, title=title, xlabel="Step", ylabel=tag)
    if path is not None:
        plot.save(_check.path("path", path), figure)
    return figure
