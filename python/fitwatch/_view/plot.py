"""Pictures of a run."""

import io
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fitwatch._view.curve import Curve
from fitwatch._view.downsample import BINS, Bins, sample, smooth

SMOOTHED_FROM = 50  # with fewer losses no smoothed line is drawn
BORDERS = 25  # epoch borders at most

# Distinguishable for the colour-blind; in grey, by markers.
BLUE, VERMILION, YELLOW, GREY = "#0072B2", "#D55E00", "#F0E442", "#808080"


class Picture(Figure):
    """A figure that a notebook shows as the value of a cell, also if pyplot is not imported."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def save_curve(path: str, curve: Curve, *, title: str, xlabel: str, ylabel: str) -> None:
    """Saves a picture of a run; adds `.png` to a path without a suffix that matplotlib knows."""
    save(path, draw(curve, title=title, xlabel=xlabel, ylabel=ylabel))


def save(path: str, figure: Figure) -> None:
    """Saves a figure, likewise."""
    known = os.path.splitext(path)[1][1:].lower() in FigureCanvasAgg.get_supported_filetypes()
    figure.savefig(path if known else f"{path}.png")


def draw(curve: Curve, *, title: str, xlabel: str, ylabel: str) -> Picture:
    """Draws the losses of a run, the smoothed loss, validations and learning-rate reductions.

    Many losses are drawn as a band from the lowest to the highest in each bin, so that no spike is
    lost. The line over it is that of `smooth`.

    `pyplot` is not used, so that the user's figures, style and display do not change. Texts are
    shown literally: a dollar sign does not start a formula.
    """
    figure = Picture(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, parse_math=False, wrap=True)
    axes.set_xlabel(xlabel, parse_math=False)
    axes.set_ylabel(ylabel, parse_math=False)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)

    validation = [(at, value) for at, value in curve.validation if at >= curve.first]
    last = curve.first + max(len(curve.losses) - 1, 0)
    if curve.steps is not None and len(curve.steps):
        last = int(curve.steps[-1])
    last = max([last, *(at for at, _ in validation)])
    _scale_batches(axes, curve.first, last)
    bins = sample(curve.losses, curve.first, curve.steps)
    smoothed = smooth(bins)
    handles = _draw_losses(axes, bins, smoothed, curve)
    points = [value for _, value in validation]
    if np.isfinite(points).any():
        handles.append(_draw_validation(axes, validation))
    if curve.best and curve.first <= curve.best[1] <= last and np.isfinite(curve.best[2]):
        handles.append(_draw_best(axes, *curve.best))
        points.append(curve.best[2])
    _scale_losses(axes, bins, smoothed, np.array(points))
    if len(curve.epochs) > 1:
        _draw_borders(axes, [epoch for epoch in curve.epochs if curve.first <= epoch[1] <= last])
    _draw_rates(axes, [drop for drop in curve.rate_drops if curve.first <= drop[0] <= last])
    if len(handles) > 1:
        # Below the axes it covers no data.
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def short(number: float) -> str:
    """Formats a number with three digits, or with thousands separators; shortens exponents."""
    if 1000 <= abs(number) < 10**6:
        return f"{number:,.0f}"
    return f"{number:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _scale_batches(axes: Any, first: int, last: int) -> None:
    margin = (last - first) / 100 or 1
    axes.set_xlim(first - margin, last + margin)
    several = MaxNLocator(8, steps=[1, 2, 2.5, 5, 10], integer=True)
    axes.xaxis.set_major_locator(several if last > first else FixedLocator([first]))
    in_millions = last - first >= 10**6

    def label(batch: float, _: int) -> str:
        return f"{batch / 1e6:,.12g}M" if in_millions and batch else f"{batch:,.0f}"

    axes.xaxis.set_major_formatter(FuncFormatter(label))


def _scale_losses(axes: Any, bins: Bins, smoothed: NDArray[Any], points: NDArray[Any]) -> None:
    """Sets a logarithmic axis if all values are positive and the smoothed loss spans two decades.

    On a linear axis, a few far spikes do not set the scale: they leave the picture, and marks at
    its edge show where, and the value of the farthest.
    """
    smoothed, points = smoothed[np.isfinite(smoothed)], points[np.isfinite(points)]
    if not len(smoothed):
        return
    bottom, top = min([smoothed.min(), *points]), max([smoothed.max(), *points])
    if min(bottom, np.nanmin(bins.low)) > 0 and smoothed.max() > 100 * smoothed.min():
        axes.set_yscale("log")
        return
    few = np.count_nonzero(bins.counts) // 100
    bottom = min(bottom, np.sort(bins.low)[few])
    top = max(top, -np.sort(-bins.high)[few])
    reach = 4 * (top - bottom)
    below, above = bins.low < bottom - reach, bins.high > top + reach
    # Nearly equal losses are not magnified.
    if reach < 0.01 * abs(top) or not (below.any() or above.any()):
        return
    bottom, top = min(bottom, np.nanmin(bins.low[~below])), max(top, np.nanmax(bins.high[~above]))
    margin = (top - bottom) / 20
    axes.set_ylim(bottom - margin, top + margin)
    _mark_spikes(axes, bins.batches[below], bins.low[below], 0)
    _mark_spikes(axes, bins.batches[above], bins.high[above], 1)


def _mark_spikes(axes: Any, batches: NDArray[Any], values: NDArray[Any], edge: int) -> None:
    if not len(values):
        return
    style = {"color": BLUE, "markersize": 5, "clip_on": False, "zorder": 5}
    across = axes.get_xaxis_transform()
    axes.plot(batches, np.full(len(batches), edge), "v^"[edge], transform=across, **style)
    farthest = values.argmax() if edge else values.argmin()
    text = f"{('min', 'max')[edge]} {short(values[farthest])}"
    _write(axes, batches[farthest], 0.02 + 0.96 * edge, text)


def _draw_losses(axes: Any, bins: Bins, smoothed: NDArray[Any], curve: Curve) -> list[Any]:
    count = len(curve.losses)
    what, one = ("running means", "running mean") if curve.running else ("batches", "each batch")
    # Mixed with the background, not transparent, so that a single spike is as clear as the rest.
    light = 0.35 * np.array(to_rgb(BLUE)) + 0.65 * np.array(to_rgb(rcParams["axes.facecolor"]))
    known = bins.counts > 0
    if not known.any():
        return []
    if count > BINS:
        # The edge has a width, so that a single spike and equal losses are visible.
        style = {
            "color": light,
            "linewidth": 0.8,
            "label": f"range of the {what}",
        }
        handles = [axes.fill_between(bins.batches, bins.low, bins.high, **style)]
    else:
        # A point between gaps has no line, so it gets a marker; few points all get one.
        beside = np.r_[False, known[:-1]] | np.r_[known[1:], False]
        style = {"linewidth": 1.2, "markersize": 3.5, "label": one}
        style["color"] = light if count >= SMOOTHED_FROM else BLUE
        marked = ~beside | (count < SMOOTHED_FROM)
        style["marker"] = "o" if marked[known].any() else None
        handles = axes.plot(bins.batches, bins.low, markevery=marked, **style)
    if count >= SMOOTHED_FROM:
        style = {"color": BLUE, "linewidth": 1.6, "zorder": 3, "label": "smoothed"}
        handles += axes.plot(bins.batches, smoothed, **style)
    return handles


def _draw_validation(axes: Any, validation: Sequence[tuple[int, float]]) -> Any:
    batches, values = np.array(validation, dtype=np.float64).T
    values[~np.isfinite(values)] = np.nan
    style = {"color": VERMILION, "linewidth": 1.0, "zorder": 4, "label": "validation"}
    style |= {"marker": "o", "markersize": 4.5, "markeredgecolor": rcParams["axes.facecolor"]}
    # Only some of many points have a marker, so that the line stays visible.
    every = 1 if len(batches) <= 50 else len(batches) // 20
    return axes.plot(batches, values, markevery=every, **style)[0]


def _draw_best(axes: Any, epoch: int, batch: int, value: float) -> Any:
    style = {"color": YELLOW, "markeredgecolor": "black", "markeredgewidth": 0.8, "markersize": 13}
    label = f"best epoch: {epoch} ({short(value)})"
    return axes.plot([batch], [value], "*", zorder=6, clip_on=False, label=label, **style)[0]


def _draw_borders(axes: Any, epochs: Sequence[tuple[int, int]]) -> None:
    """Draws lines where epochs begin, with numbers along the top; if many, only round numbers."""
    steps = (base * 10**power for power in itertools.count() for base in (1, 2, 5))
    step = next(step for step in steps if len(epochs) <= BORDERS * step)
    left, right = axes.get_xlim()
    shown: list[tuple[int, int]] = []
    for epoch, batch in epochs:
        crowded = shown and batch - shown[-1][1] < (right - left) / 40
        if epoch % step == 0 and not crowded:
            shown.append((epoch, batch))
    if not shown:
        return
    batches = [batch for _, batch in shown]
    style = {"color": GREY, "linewidth": 0.5, "alpha": 0.6, "zorder": 1.5}
    axes.vlines(batches, 0, 1, transform=axes.get_xaxis_transform(), **style)
    numbers = axes.secondary_xaxis("top")
    numbers.spines["top"].set_visible(False)
    numbers.set_ticks(batches, [str(epoch) for epoch, _ in shown])
    numbers.tick_params(labelsize="small", length=2, color=GREY, pad=1)
    numbers.set_xlabel("Epoch", fontsize="small", labelpad=2)


def _draw_rates(axes: Any, drops: Sequence[tuple[int, float, float]]) -> None:
    """Draws vertical marks with labels; drops near each other share a label and a full line."""
    left, right = axes.get_xlim()
    near = (right - left) / (30 if len(drops) <= 8 else 10)
    groups: list[list[tuple[int, float, float]]] = []
    for drop in drops:
        if groups and drop[0] - groups[-1][0][0] < near:
            groups[-1].append(drop)
        else:
            groups.append([drop])
    style = {"color": rcParams["text.color"], "linewidth": 0.9, "linestyle": (0, (4, 3))}
    for group in groups:
        batches = [batch for batch, _, _ in group]
        bottoms = [0.0] + [0.97] * (len(group) - 1)
        axes.vlines(batches, bottoms, 1, transform=axes.get_xaxis_transform(), zorder=2, **style)
        text = f"lr {short(group[0][1])} → {short(group[-1][2])}"
        text += f" in {len(group)} steps" if len(group) > 1 else ""
        _write(axes, batches[0], 0.92, text, rotation=90)


def _write(axes: Any, batch: float, height: float, text: str, rotation: int = 0) -> None:
    """Writes a small text beside a batch, on the side that has room."""
    left, right = axes.get_xlim()
    at_right = batch < left + (0.97 if rotation else 0.8) * (right - left)
    style = {"rotation": rotation, "fontsize": "small", "zorder": 7}
    style["ha"] = "left" if at_right else "right"
    style["va"] = "top" if height > 0.5 else "bottom"
    style["bbox"] = {"facecolor": rcParams["axes.facecolor"], "alpha": 0.75, "lw": 0, "pad": 1}
    offset = {"xytext": (5 if at_right else -5, 0), "textcoords": "offset points"}
    axes.annotate(text, (batch, height), xycoords=axes.get_xaxis_transform(), **offset, **style)
