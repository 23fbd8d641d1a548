"""Plots of a run."""

import io
import itertools
import math
import tracemalloc

import matplotlib
import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.colors import same_color

from fitwatch._view import downsample, plot
from fitwatch._view.curve import Curve

# Plotting in a training loop must not warn.
pytestmark = pytest.mark.filterwarnings("error")

TEXTS = {"title": "Loss", "xlabel": "Batch", "ylabel": "Value"}


def noise(count, seed=0):
    return np.random.default_rng(seed).uniform(1, 2, count).astype(np.float32)


def fall(count, decades):
    return np.geomspace(1, 10.0**-decades, count).astype(np.float32)


def draw(losses, **what):
    """The figure, laid out as it is saved, and its axes."""
    figure = plot.draw(Curve(np.array(losses, dtype=np.float32), **what), **TEXTS)
    figure.canvas.draw()
    return figure, figure.axes[0]


def explained(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def labelled(axes, label):
    """The one artist with a label; None if there is none."""
    found = [artist for artist in axes.get_children() if artist.get_label() == label]
    assert len(found) < 2
    return found[0] if found else None


def band_of(axes):
    return labelled(axes, "range of the batches")


def verticals(axes, color):
    """Where vertical lines of a colour stand, and how high up they begin."""
    lines = [made for made in axes.collections if hasattr(made, "get_segments")]
    lines = [made for made in lines if same_color(made.get_color()[0][:3], color)]
    return sorted(tuple(segment[0]) for made in lines for segment in made.get_segments())


@pytest.mark.parametrize("chunk", [1, 5000, 2**18])
@pytest.mark.parametrize("count", [1, 7, 2000, 2001, 4000, 12_345])
def test_bins_hold_what_a_plain_loop_finds(monkeypatch, count, chunk):
    monkeypatch.setattr(downsample, "CHUNK", chunk)
    losses = noise(count)
    losses[::5] = np.nan
    losses[1::11] = np.inf
    losses[40:60] = -np.inf
    bins = downsample.sample(losses, 100)
    assert len(bins.low) <= 2000
    size = math.ceil(count / 2000)
    for i, start in enumerate(range(0, count, size)):
        inside = losses[start : start + size].astype(float)
        finite = inside[np.isfinite(inside)]
        assert bins.batches[i] == 100 + start + (len(inside) - 1) / 2
        assert bins.counts[i] == len(finite)
        assert bins.sums[i] == pytest.approx(sum(finite))
        extremes = [min(finite, default=math.nan), max(finite, default=math.nan)]
        np.testing.assert_array_equal([bins.low[i], bins.high[i]], extremes)
    assert i == len(bins.low) - 1


def test_sampling_takes_little_memory():
    losses = noise(4 * 10**6)
    tracemalloc.start()
    downsample.sample(losses)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < losses.nbytes / 2


def test_the_smoothed_loss_is_a_weighted_mean_without_a_pull_to_zero():
    losses = noise(12_345)
    losses[3000:3100] = np.nan
    bins = downsample.sample(losses)
    smoothed = downsample.smooth(bins)
    assert smoothed[0] == pytest.approx(losses[:7].mean())
    half_life = len(bins.low) / 100
    for i in (1, 50, 428, 800, len(smoothed) - 1):
        weights = 0.5 ** ((i - np.arange(i + 1)) / half_life)
        mean = (weights @ bins.sums[: i + 1]) / (weights @ bins.counts[: i + 1])
        assert smoothed[i] == pytest.approx(mean)
    np.testing.assert_array_equal(np.isnan(smoothed), bins.counts == 0)
    assert np.isnan(smoothed).any()


def test_few_losses_are_smoothed_over_five():
    step = downsample.sample(np.r_[np.zeros(100), np.ones(100)].astype(np.float32))
    assert downsample.smooth(step)[104] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("spike", [100, -100])
def test_one_spike_of_ten_million_is_in_the_band(spike):
    losses = np.full(10**7, 0.5, dtype=np.float32)
    losses[6_543_210] = spike
    _, axes = draw(losses)
    (polygon,) = band_of(axes).get_paths()
    (at,) = polygon.vertices[polygon.vertices[:, 1] == spike, 0]
    assert abs(at - 6_543_210) <= 5000 / 2
    assert axes.get_ylim()[0] < spike < axes.get_ylim()[1]
    assert band_of(axes).get_linewidth() > 0  # or it would have no width


@pytest.mark.parametrize(("sign", "text"), [(1, "max 400"), (-1, "min -400")])
def test_a_far_spike_leaves_the_picture_and_is_marked(sign, text):
    losses = sign * noise(20_000)
    losses[3000], losses[15_000], losses[100] = sign * 300, sign * 400, sign * 2.5
    _, axes = draw(losses)
    low, high = sorted(sign * limit for limit in axes.get_ylim())
    assert low < 1  # all but the spikes is in the picture
    assert 2.5 < high < 4
    assert [made.get_text() for made in axes.texts] == [text]
    assert axes.texts[0].xy[0] == 15_004.5
    marks = [line for line in axes.lines if line.get_marker() in ("^", "v")]
    assert [line.get_xdata().tolist() for line in marks] == [[3004.5, 15_004.5]]


def test_few_losses_are_drawn_as_they_are():
    for count in (1, 2, 5, 30):
        figure, axes = draw(noise(count))
        (line,) = axes.lines
        np.testing.assert_array_equal(line.get_ydata(), noise(count))
        assert line.get_marker() == "o"
        assert explained(figure) == []
    figure, axes = draw(noise(300))
    np.testing.assert_array_equal(labelled(axes, "each batch").get_ydata(), noise(300))
    assert explained(figure) == ["each batch", "smoothed"]
    figure, _ = draw(noise(2001))
    assert explained(figure) == ["range of the batches", "smoothed"]


@pytest.mark.parametrize("losses", [[], [np.nan] * 3, [np.inf] * 3000, [-np.inf, np.nan] * 40])
def test_nothing_to_draw_gives_empty_axes(tmp_path, losses):
    figure, axes = draw(losses, epochs=[(0, 0)])
    assert [*axes.lines, *axes.collections, *figure.legends] == []
    assert axes.get_ylim() == (0, 1)
    figure.savefig(tmp_path / "empty.png")


def test_what_is_not_finite_leaves_gaps():
    losses = noise(20_000)
    losses[5000:7000] = np.nan
    losses[9000:9500] = np.inf
    _, axes = draw(losses)
    assert len(band_of(axes).get_paths()) == 3
    smoothed = labelled(axes, "smoothed")
    gaps = smoothed.get_xdata()[np.isnan(smoothed.get_ydata())]
    np.testing.assert_array_equal(gaps, np.r_[5004.5:7000:10, 9004.5:9500:10])


def test_a_loss_between_gaps_gets_a_marker():
    losses = noise(300)
    losses[[10, 12, 20]] = np.nan, np.inf, np.nan
    _, axes = draw(losses)
    line = labelled(axes, "each batch")
    assert np.flatnonzero(line.get_markevery() & np.isfinite(line.get_ydata())).tolist() == [11]
    assert line.get_marker() == "o"
    assert labelled(draw(noise(300))[1], "each batch").get_marker() == "None"


@pytest.mark.parametrize(
    "losses", [[1e38, -1e38], [3e38] * 4000, [0.0] * 5, [1e-45, 1.0], [-1e-30] * 3000]
)
def test_odd_values_are_drawn_too(losses):
    draw(losses)


@pytest.mark.parametrize(
    ("losses", "what", "scale"),
    [
        (fall(3000, 3), {}, "log"),
        (fall(3000, 1), {}, "linear"),
        (fall(3000, 3) - 1e-3, {}, "linear"),
        (np.r_[fall(3000, 3), np.nan, -np.inf], {"validation": [(9, np.nan)]}, "log"),
        (fall(3000, 3), {"validation": [(5, 0.5), (9, 0.0)]}, "linear"),
        (fall(3000, 3), {"validation": [(5, 0.5), (9, 0.1)]}, "log"),
        (fall(3000, 3), {"best": (0, 9, -1.0)}, "linear"),
        (np.r_[noise(3000), 1e-3], {}, "linear"),  # the smoothed loss does not go so far
    ],
)
def test_the_axis_is_logarithmic_where_it_suits(losses, what, scale):
    _, axes = draw(losses, **what)
    assert axes.get_yscale() == scale


def test_borders_stand_where_epochs_begin():
    _, axes = draw(noise(300), epochs=[(4, 0), (5, 100), (6, 200)])
    assert verticals(axes, plot.GREY) == [(0, 0), (100, 0), (200, 0)]
    (top,) = axes.child_axes
    assert [label.get_text() for label in top.get_xticklabels()] == ["4", "5", "6"]
    assert top.get_xticks().tolist() == [0, 100, 200]
    assert axes.get_ylim()[0] > 0.9  # the losses alone set the scale


def test_one_epoch_has_no_border():
    _, axes = draw(noise(300), epochs=[(0, 0)])
    assert [*axes.child_axes, *axes.collections] == []


def test_borders_that_were_forgotten_are_not_drawn():
    _, axes = draw(noise(100), first=250, epochs=[(0, 0), (1, 150), (2, 300), (3, 400)])
    assert verticals(axes, plot.GREY) == [(300, 0)]
    assert axes.get_xlim()[0] > 240


@pytest.mark.parametrize("count", [30, 400, 9000])
def test_of_many_epochs_round_ones_are_shown(count):
    figure, axes = draw(noise(3 * count), epochs=[(e, 3 * e) for e in range(count)])
    (top,) = axes.child_axes
    shown = [int(label.get_text()) for label in top.get_xticklabels()]
    assert 10 <= len(shown) <= 25
    assert len({later - earlier for earlier, later in itertools.pairwise(shown)}) == 1
    assert verticals(axes, plot.GREY) == [(3 * epoch, 0) for epoch in shown]
    assert not overlapping(figure, top.get_xticklabels())


def test_epochs_that_are_too_short_for_their_numbers_are_left_out():
    epochs = [(0, 0), (1, 3), (2, 6), (3, 150), (4, 150), (5, 299), (6, 300)]
    _, axes = draw(noise(300), epochs=epochs)
    assert verticals(axes, plot.GREY) == [(0, 0), (150, 0), (299, 0)]


def overlapping(figure, texts):
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]
    return [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_a_drop_of_the_learning_rate_is_marked():
    _, axes = draw(noise(300), rate_drops=[(100, 0.01, 0.001)])
    assert verticals(axes, matplotlib.rcParams["text.color"]) == [(100, 0)]
    assert axes.get_ylim()[0] > 0.9
    assert [text.get_text() for text in axes.texts] == ["lr 0.01 → 0.001"]


def test_neighbouring_drops_share_a_label():
    drops = [(100, 0.1, 0.05), (104, 0.05, 0.025), (200, 0.025, 1e-5), (900, 1, 0)]
    _, axes = draw(noise(300), rate_drops=drops)
    marks = verticals(axes, matplotlib.rcParams["text.color"])
    assert marks == [(100, 0), (104, pytest.approx(0.97)), (200, 0)]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["lr 0.1 → 0.025 in 2 steps", "lr 0.025 → 1e-5"]


@pytest.mark.parametrize(("count", "labels"), [(4, 4), (8, 8), (40, 10), (1000, 10)])
def test_labels_of_many_drops_do_not_pile_up(count, labels):
    drops = [(i * 19_999 // (count - 1), 0.1 / (i + 1), 0.1 / (i + 2)) for i in range(count)]
    figure, axes = draw(noise(20_000), rate_drops=drops)
    assert len(verticals(axes, matplotlib.rcParams["text.color"])) == count
    assert len(axes.texts) == labels
    assert not overlapping(figure, axes.texts)
    frame = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent(figure.canvas.get_renderer())
        assert frame.contains(box.x0, box.y0)
        assert frame.contains(box.x1, box.y1)


def test_validation_and_the_best_epoch_are_shown():
    validation = [(99, 3.0), (199, math.inf), (310, 2.5)]
    figure, axes = draw(noise(300), validation=validation, best=(2, 310, 2.5))
    line = labelled(axes, "validation")
    assert line.get_xdata().tolist() == [99, 199, 310]
    np.testing.assert_array_equal(line.get_ydata(), [3.0, math.nan, 2.5])
    assert axes.get_xlim()[1] > 310
    assert axes.get_ylim()[1] > 3
    best = labelled(axes, "best epoch: 2 (2.5)")
    assert (*best.get_xdata(), *best.get_ydata()) == (310, 2.5)
    assert explained(figure) == ["each batch", "smoothed", "validation", best.get_label()]


@pytest.mark.parametrize("best", [(0, 9, math.nan), (0, -1, 0.5), None])
def test_a_best_epoch_that_cannot_be_shown_is_left_out(best):
    figure, _ = draw(noise(30), best=best, validation=[(-5, 1.0), (9, math.nan)])
    assert explained(figure) == []


def test_large_batch_numbers_are_readable():
    _, axes = draw(noise(5000), validation=[(10**7, 1.5)])
    assert [label.get_text() for label in axes.get_xticklabels()][1:4] == ["0", "2M", "4M"]
    _, axes = draw(noise(5000), first=123_456_000)
    assert "123,457,000" in [label.get_text() for label in axes.get_xticklabels()]
    _, axes = draw([1.0], first=7)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (12.345, "12.3"),
        (-1234.5, "-1,234"),
        (1e6, "1e6"),
        (3e38, "3e38"),
        (1e-5, "1e-5"),
        (2.5e-12, "2.5e-12"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_short(number, text):
    assert plot.short(number) == text


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_is_small_and_none_of_pyplots(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    curve = Curve(noise(100_000), epochs=[(e, e * 250) for e in range(400)])
    plot.save_curve(str(path), curve, **TEXTS)
    assert path.stat().st_size < 300_000
    assert not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize(("name", "saved"), [("плот", "плот.png"), ("lr0.1", "lr0.1.png")])
def test_texts_and_paths_are_taken_as_they_are(tmp_path, name, saved):
    text = "Потери $за эпоху$ {3} \\alpha a_b^{c} 100%"
    plot.save_curve(
        str(tmp_path / name), Curve(noise(30)), title=text, xlabel=text, ylabel=text + " $"
    )
    height, width, _ = matplotlib.image.imread(tmp_path / saved).shape
    assert (width, height) == (1200, 675)
    axes = plot.draw(Curve(noise(30)), title=text, xlabel=text, ylabel=text).axes[0]
    for made in (axes.title, axes.xaxis.label, axes.yaxis.label):
        assert made.get_text() == text
        assert not made.get_parse_math()


def test_a_notebook_shows_the_figure():
    """Without pyplot, IPython knows only what a value says of itself."""
    figure, _ = draw(noise(100))
    picture = matplotlib.image.imread(io.BytesIO(figure._repr_png_()), format="png")
    assert picture.shape[:2] == (675, 1200)
    assert picture.min() < 0.5  # something is drawn
