"""Pictures of a run."""

import os
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray


def save_curve(
    path: str, values: NDArray[Any], *, first: int, title: str, xlabel: str, ylabel: str
) -> None:
    """Saves a picture of `values` over their numbers, counted from `first`.

    Uses no `pyplot`: the user's own figures, style and display stay untouched. Texts are taken as
    they are, whatever their script; a dollar sign starts no formula.
    """
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers = np.arange(first, first + len(values))
    # A single point has no line: give it a marker.
    axes.plot(numbers, values, linewidth=1.2, marker="o" if len(values) == 1 else None)
    axes.set_title(title, parse_math=False)
    axes.set_xlabel(xlabel, parse_math=False)
    axes.set_ylabel(ylabel, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    known = os.path.splitext(path)[1][1:].lower() in FigureCanvasAgg.get_supported_filetypes()
    figure.savefig(path if known else f"{path}.png")
