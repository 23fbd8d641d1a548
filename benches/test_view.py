"""The page in a browser: the first picture after the files are read, and a zoom by mouse.

The first picture is timed from the request for the page to the drawn chart, the zoom from the end
of the drag to the chart of the new range, both by the browser's own clock. Runs on one backend:
there is none in it.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import note

import fitwatch
from fitwatch._view.server.local_server import LocalServer
from fitwatch._view.server.run_source import RunSource

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough"),
]

ROUNDS = 9
# Milliseconds from `since` until the chart is complete and drawn.
DRAWN = """
new Promise((done) => {
  const look = () => {
    const charts = window.fitwatch?.charts() ?? [];
    if (charts.length && charts.every((chart) => chart.ready) && CONDITION) {
      requestAnimationFrame(() => done(performance.now() - SINCE));
    } else setTimeout(look, 1);
  };
  look();
})
"""


def drawn(page, since="0", condition="true"):
    return page.evaluate(DRAWN.replace("SINCE", since).replace("CONDITION", condition)) / 1000


def zoom(page):
    """Drags over the middle fifth of the chart; the seconds until the zoomed chart is there."""
    x, y, width, height = page.evaluate(
        "(() => { const box = document.querySelector('.overlay').getBoundingClientRect();"
        " return [box.x, box.y, box.width, box.height]; })()"
    )
    before = page.evaluate("fitwatch.charts()[0].from")
    page.evaluate("addEventListener('pointerup', (event) => { window.ended = event.timeStamp; })")
    page.drag((x + 0.4 * width, y + height / 2), (x + 0.6 * width, y + height / 2))
    return drawn(page, "window.ended", f"fitwatch.charts()[0].from !== {before}")


@pytest.mark.parametrize("points", [10**4, 10**6, 5 * 10**6])
def test_the_page(tmp_path, points):
    rng = np.random.default_rng(0)
    with fitwatch.EventFileWriter(tmp_path / "logs") as writer:
        for first in range(0, points, 10**4):
            writer.add_series("loss", rng.normal(1, 0.1, 10**4), range(first, first + 10**4))
    source = RunSource(str(tmp_path / "logs"))
    source.start()
    source.wait()
    server = LocalServer(source)
    server.start()
    browser = Browser(tmp_path / "profile")
    try:
        first, zooms = [], []
        for _ in range(ROUNDS):
            page = browser.open(server.url)
            first.append(drawn(page))
            zooms.append(zoom(page))
            page.close()
    finally:
        browser.close()
        server.close()
    note("read growth", f"{points:,} points: the page's first picture, in Chromium", first)
    note("read growth", f"{points:,} points: a zoom of the page", zooms)
    assert max(first) < 10
