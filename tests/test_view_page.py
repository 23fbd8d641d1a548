"""The page of the runs in a browser, with a mouse.

`FITWATCH_SCREENSHOTS=folder` keeps the screenshots.
"""

import io
import json
import os
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from browser import CHROMIUM, Browser

import fitwatch
from fitwatch._view.server.local_server import LocalServer
from fitwatch._view.server.run_source import RunSource

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough"),
]

BATCHES = 1_000_000
SPIKE = 666_667  # the batch
SPIKE_LOSS = np.float32(9.53125)
SLATE = (0x42, 0x50, 0x66)  # of the first run
CYAN = (0x12, 0xB5, 0xCB)  # of the second


def event(tag, step, line):
    from tensorboard.compat.proto.event_pb2 import Event

    made = Event(step=step, wall_time=1000.0)
    value = made.summary.value.add(tag=tag)
    value.metadata.plugin_data.plugin_name = "text"
    value.tensor.dtype = 7
    value.tensor.tensor_shape.dim.add(size=1)
    value.tensor.string_val.append(line.encode())
    return made.SerializeToString()


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    losses = rng.normal(1, 0.1, BATCHES).astype("float32")
    losses[SPIKE] = SPIKE_LOSS
    with fitwatch.EventFileWriter(folder / "a") as writer:
        writer.add_series("batch_loss", losses, np.arange(BATCHES), 1000)
        writer.add_series("decay", 10.0 ** np.linspace(0, -6, 1000), range(1000), 1000)
        odd = np.linspace(0, 1, 1000)
        odd[500], odd[250], odd[750] = np.nan, np.inf, -np.inf
        writer.add_series("odd", odd, range(1000), 1000)
        writer.add_event(event("fitwatch/rate_reduction", 400, "0.001 to 0.0005"))
        writer.add_event(event("fitwatch/epoch", 300, "the epoch ended"))
    with fitwatch.EventFileWriter(folder / "<img src=x onerror=alert(1)>") as writer:
        writer.add_series("other<b>", [1, 2], [0, 1], 1000)
    return folder


@pytest.fixture(scope="module")
def live(logs):
    """A writer of a run that is going on."""
    with fitwatch.EventFileWriter(logs / "b") as writer:
        writer.add_series("val", np.linspace(1, 2, 100), range(100), 1000)
        writer.flush()
        yield writer


@pytest.fixture(scope="module")
def source(logs, live):
    source = RunSource(str(logs))
    source.start()
    source.wait()
    return source


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def url(source):
    server = LocalServer(source)
    server.start()
    yield server.url
    server.close()


@pytest.fixture
def page(browser, url):
    tab = browser.open(url)
    tab.wait("window.fitwatch?.charts().length")
    settled(tab)
    yield tab
    assert tab.errors() == []
    tab.close()


def settled(page):
    page.wait("fitwatch.charts().length && fitwatch.charts().every((chart) => chart.ready)")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)))")


def chart(page, tag):
    return json.loads(
        page.evaluate(
            f"JSON.stringify(fitwatch.charts().find((chart) => chart.tag === {json.dumps(tag)}))"
        )
    )


def box(page, tag):
    """The rectangle of a chart with its axes: x, y, width, height."""
    return json.loads(
        page.evaluate(
            f"""JSON.stringify((() => {{
              const cards = [...document.querySelectorAll(".card")];
              const found = cards.find((c) => c.querySelector(".title").textContent === {tag!r});
              const box = found.querySelector(".overlay").getBoundingClientRect();
              return [box.x, box.y, box.width, box.height];
            }})())"""
        )
    )


def place(page, tag, step):
    """Where a step is in a chart; the axis has about 45 pixels of labels at its left."""
    x, y, width, height = box(page, tag)
    shown = chart(page, tag)
    part = (step - shown["from"]) / (shown["to"] - shown["from"])
    return x + 45 + part * (width - 56), y + height / 2


def pixels(page, tag, name=None):
    from PIL import Image

    picture = page.screenshot()
    if name and "FITWATCH_SCREENSHOTS" in os.environ:
        (Path(os.environ["FITWATCH_SCREENSHOTS"]) / f"{name}.png").write_bytes(picture)
    x, y, width, height = map(round, box(page, tag))
    every = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    return every[y : y + height, x : x + width]


def near(found, colour, distance=60):
    """Where pixels have about this colour."""
    return abs(found - colour).max(axis=-1) < distance


def press(page, text, where=".toolbar"):
    page.evaluate(
        f"[...document.querySelectorAll('{where} button')]"
        f".find((button) => button.textContent === {text!r}).click()"
    )
    if where == ".toolbar":
        settled(page)


def type_into(page, placeholder, text):
    page.evaluate(
        f"""(() => {{
          const field = document.querySelector(`input[placeholder^="{placeholder}"]`);
          field.value = {json.dumps(text)};
          field.dispatchEvent(new Event("input"));
        }})()"""
    )
    page.evaluate("new Promise((done) => setTimeout(done, 50))")


def tags(page):
    return page.evaluate("[...document.querySelectorAll('.card .title')].map((t) => t.textContent)")


def tooltip(page, x, y):
    page.mouse("mouseMoved", x + 1, y)
    page.mouse("mouseMoved", x, y)
    return page.wait("!document.querySelector('.tooltip')?.hidden && "
                     "document.querySelector('.tooltip').innerText")  # fmt: skip


def test_runs_and_charts(page):
    assert tags(page) == ["batch_loss", "decay", "odd", "other<b>", "val"]
    names = page.evaluate("[...document.querySelectorAll('.runs .name')].map((n) => n.textContent)")
    assert sorted(names) == ["<img src=x onerror=alert(1)>", "a", "b"]
    assert page.evaluate("document.querySelectorAll('img, .card b, .runs b').length") == 0
    cells = page.evaluate("[...document.querySelectorAll('.values td')].map((c) => c.textContent)")
    assert {"batch_loss", "666,667", "9.53125", "1,000,000"} <= set(cells)


def test_a_spike_of_one_batch_in_a_million_is_a_line(page):
    found = pixels(page, "batch_loss", "page_spike")
    height = found.shape[0]
    above = near(found[20 : height // 2], COLOURS["a"])
    columns = above.sum(axis=0)
    assert columns.max() > 0.8 * len(above)
    x, _ = place(page, "batch_loss", SPIKE)
    assert abs(columns.argmax() + box(page, "batch_loss")[0] - x) < 6


COLOURS = {"a": CYAN}  # the run with the name of an image comes before


def test_the_mouse_zooms_to_the_batch_and_reads_its_value(page):
    for _ in range(12):
        shown = chart(page, "batch_loss")
        if shown["to"] - shown["from"] < 10:
            break
        x, y = place(page, "batch_loss", SPIKE)
        page.drag((x - 25, y), (x + 25, y))
        settled(page)
    x, y = place(page, "batch_loss", SPIKE)
    text = tooltip(page, x, y)
    assert "step 666,667" in text
    assert "9.53125" in text
    assert "points" not in text
    page.click(x, y, 2)
    settled(page)
    shown = chart(page, "batch_loss")
    assert (shown["from"], shown["to"]) == (0, BATCHES - 1)


def test_the_wheel_and_shift(page):
    x, y = place(page, "batch_loss", 500_000)
    page.mouse("mouseMoved", x, y)
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400, modifiers=2)  # with Ctrl
    settled(page)
    zoomed = chart(page, "batch_loss")
    assert 0 < zoomed["from"] < 500_000 < zoomed["to"] < BATCHES - 1
    page.drag((x, y), (x + 60, y), modifiers=8)  # with Shift
    settled(page)
    panned = chart(page, "batch_loss")
    assert panned["from"] < zoomed["from"]
    span = zoomed["to"] - zoomed["from"]
    assert panned["to"] - panned["from"] == pytest.approx(span)
    assert chart(page, "odd")["to"] == 999  # other steps: not linked to these


def test_several_points_in_a_column(page):
    text = tooltip(page, *place(page, "batch_loss", 100_000))
    assert "≈" in text
    assert "points" in text
    assert "…" in text


def test_new_points_appear(page, live):
    before = chart(page, "val")["to"]
    live.add_series("val", np.linspace(2, 3, 50), range(int(before) + 1, int(before) + 51))
    live.flush()
    # Two seconds, unless the machine is busy.
    page.wait(f"fitwatch.charts().find((c) => c.tag === 'val').to === {before + 50}", 20)
    settled(page)


def test_a_view_stays_where_the_user_is(page, live):
    x, y = place(page, "val", 40)
    page.drag((x - 40, y), (x + 40, y))
    settled(page)
    zoomed = chart(page, "val")
    last = "[...document.querySelectorAll('.values tr')].find((r) => r.innerText.startsWith('val'))"
    before = page.evaluate(f"{last}.innerText")
    step = int(page.evaluate(f"{last}.cells[4].textContent.replace(',', '')"))
    live.add_series("val", np.linspace(3, 4, 50), range(step + 1, step + 51))
    live.flush()
    page.wait(f"{last}.innerText !== {json.dumps(before)}", 10)
    settled(page)
    assert chart(page, "val") == zoomed


def test_filters(page):
    type_into(page, "Filter tags", "loss|val$")
    assert tags(page) == ["batch_loss", "val"]
    type_into(page, "Filter runs", "^b")
    assert tags(page) == ["val"]
    type_into(page, "Filter runs", "(")  # malformed: as before
    assert page.evaluate("document.querySelectorAll('input.bad').length") == 1
    assert tags(page) == ["val"]
    type_into(page, "Filter runs", "")
    press(page, "none", ".list")
    page.wait("document.querySelectorAll('.card').length === 0")
    assert "No run is selected" in page.evaluate("document.querySelector('main').innerText")
    page.evaluate("document.querySelector('.runs li:last-child input').click()")
    page.wait("document.querySelectorAll('.card').length === 1")
    settled(page)


def test_the_logarithmic_scale(page):
    def in_the_middle():
        found = pixels(page, "decay", "page_log")
        height, width, _ = found.shape
        middle = found[height // 2 - 20 : height // 2, width // 2 - 15 : width // 2 + 35]
        return near(middle, COLOURS["a"]).any()

    assert not in_the_middle()
    press(page, "Log")
    assert in_the_middle()


def test_values_that_are_not_finite(page):
    found = pixels(page, "odd", "page_odd")
    left, height = box(page, "odd")[0], found.shape[0]
    for step, rows in ((250, slice(8, 20)), (500, slice(height - 32, height - 18)),
                       (750, slice(height - 30, height - 19))):  # fmt: skip
        x = round(place(page, "odd", step)[0] - left)
        assert near(found[rows, x - 7 : x + 8], COLOURS["a"]).sum() > 8, step
    x, _ = place(page, "odd", 500)
    assert "NaN" in tooltip(page, x, box(page, "odd")[1] + height - 24)


def test_marks_of_events(page):
    kinds = "[...document.querySelectorAll('.legend button')].map((b) => b.textContent)"
    assert page.evaluate(kinds) == ["epoch", "rate reduction"]
    x, y = place(page, "decay", 400)
    assert "rate reduction 0.001 to 0.0005" in tooltip(page, x, y)
    press(page, "rate reduction")
    page.mouse("mouseMoved", 5, 5)
    assert "rate reduction" not in tooltip(page, x, y)


def test_times(page):
    press(page, "Wall")
    assert chart(page, "decay")["from"] == pytest.approx(999.5)
    press(page, "Relative")
    assert chart(page, "decay")["from"] == pytest.approx(-0.5)


def test_a_large_chart(page):
    page.evaluate("document.querySelector('.card .title').click()")
    page.wait("document.querySelectorAll('.card.wide').length")
    settled(page)
    _, _, width, height = box(page, "batch_loss")
    assert (width > 900, height > 400) == (True, True)


def test_a_page_that_is_not_seen_does_not_ask(page, source, monkeypatch):
    asked = []
    answer = source.answer
    monkeypatch.setattr(source, "answer", lambda since: asked.append(since) or answer(since))
    hide = """
      Object.defineProperty(document, "visibilityState", {{ value: "{}", configurable: true }});
      document.dispatchEvent(new Event("visibilitychange"));
    """
    page.evaluate(hide.format("hidden"))
    time.sleep(0.3)
    asked.clear()
    time.sleep(2.5)
    assert asked == []
    page.evaluate(hide.format("visible"))
    end = time.monotonic() + 20
    while not asked:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_dark_mode(page):
    light = pixels(page, "val").mean()
    page.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    settled(page)
    dark = pixels(page, "val", "page_dark").mean()
    assert light > 230
    assert dark < 60


def test_ten_thousand_runs(page):
    elapsed = page.evaluate(
        """(async () => {
          const { takeRuns } = await import("./state.js");
          const tag = { tag: "loss", points: 2, first_step: 0, last_step: 9, first_time: 1,
            last_time: 2, last: 1, low: 0, low_step: 0, high: 1, high_step: 9 };
          const runs = Array.from({ length: 10000 }, (_, i) => (
            { name: `run ${i}`, start: 1, tags: [tag], hparams: {}, events: [] }));
          const begin = performance.now();
          takeRuns({ all: true, runs, removed: [] });
          await new Promise((done) => setTimeout(done));
          return performance.now() - begin;
        })()"""
    )
    assert elapsed < 3000
    assert page.evaluate("document.querySelectorAll('.runs li').length") == 200
    assert "9,800 more match" in page.evaluate("document.querySelector('.list').innerText")
    assert "10 of 10,000" in page.evaluate("document.querySelector('.list').innerText")
