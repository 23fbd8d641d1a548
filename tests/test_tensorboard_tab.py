"""The tab Fitwatch in TensorBoard."""

import argparse
import json
import os
import time
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from browser import CHROMIUM, Browser
from tensorboard_server import tensorboard

import fitwatch
from fitwatch._view.tensorboard_tab import Loader

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough")


def context(logdir, fitwatch_logdir=""):
    flags = SimpleNamespace(fitwatch_logdir=fitwatch_logdir)
    return SimpleNamespace(logdir=logdir, flags=flags)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tab")
    with fitwatch.EventFileWriter(folder / "train") as writer:
        writer.add_series("loss", np.linspace(1, 0, 5000), range(5000), 1000)
    return folder


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_plugin_of_runs(logs):
    plugin = Loader().load(context(str(logs)))
    assert plugin.is_active()  # it reads, or has read
    until(lambda: "loss" in asked(plugin, "/data/runs"))
    assert plugin.is_active()
    assert b"export async function render" in asked(plugin, "/index.js").encode()
    assert plugin.frontend_metadata().tab_name == "Fitwatch"
    assert plugin.frontend_metadata().es_module_path in plugin.get_plugin_apps()


def asked(plugin, route):
    statuses = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/data/plugin/fitwatch" + route}
    answer = plugin.get_plugin_apps()[route](environ, lambda status, _: statuses.append(status))
    assert statuses == ["200 OK"]
    return b"".join(answer).decode()


def test_no_tab_without_runs(tmp_path):
    plugin = Loader().load(context(str(tmp_path)))
    until(lambda: not plugin.is_active())


@pytest.mark.parametrize("logdir", ["", None])
def test_no_tab_without_a_folder(logdir):
    """`--logdir_spec` leaves it empty."""
    plugin = Loader().load(context(logdir))
    assert not plugin.is_active()
    assert plugin.get_plugin_apps() == {}


def test_a_folder_of_its_own(logs):
    parser = argparse.ArgumentParser()
    Loader().define_flags(parser)
    assert parser.parse_args([]).fitwatch_logdir == ""
    flags = parser.parse_args(["--fitwatch_logdir", str(logs)])
    plugin = Loader().load(SimpleNamespace(logdir="/nothing", flags=flags))
    until(lambda: "loss" in asked(plugin, "/data/runs"))


@pytest.mark.parametrize(
    ("arguments", "logdir"),
    [
        ((), ""),
        (("--logdir=",), ""),
        (("--logdir", "other"), "other"),
        (("--logdir_spec=a:b",), ""),
    ],
)
def test_tensorboard_takes_the_flag(logs, arguments, logdir):
    from tensorboard import program
    from tensorboard.plugins.core.core_plugin import CorePluginLoader

    ours = ["--fitwatch_logdir", str(logs)]
    for given in ([*arguments, *ours], [*ours, *arguments]):
        tensorboard = program.TensorBoard([CorePluginLoader, Loader])
        tensorboard.configure(["tensorboard", *given])
        assert tensorboard.flags.fitwatch_logdir == str(logs)
        assert tensorboard.flags.logdir == logdir


@pytest.mark.parametrize(
    ("arguments", "runs"), [((), []), (("--logdir=",), []), (("--logdir_spec=a:train",), ["a/."])]
)
def test_without_a_logdir_tensorboard_loads_nothing(logs, monkeypatch, arguments, runs):
    """To its loader, an empty text is the current folder."""
    from tensorboard import program
    from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
    from tensorboard.plugins.core.core_plugin import CorePluginLoader

    monkeypatch.chdir(logs)
    tensorboard = program.TensorBoard([CorePluginLoader, Loader])
    tensorboard.configure(
        ["tensorboard", *arguments, "--fitwatch_logdir", "train", "--reload_task=blocking",
         "--reload_interval=0"]
    )  # fmt: skip
    ingester = LocalDataIngester(tensorboard.flags)
    ingester.start()
    assert [*ingester.deprecated_multiplexer.Runs()] == runs


def test_a_loader_never_raises():
    assert Loader().load(None) is None


@pytest.fixture(scope="module")
def server(logs, tmp_path_factory):
    """The address of a TensorBoard that shows the logs."""
    environ = dict(os.environ)
    if not entry_points(group="tensorboard_plugins", name="fitwatch"):
        # fitwatch is not installed, or was before it had the plugin.
        info = tmp_path_factory.mktemp("installed") / "fitwatch_tab-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fitwatch-tab\nVersion: 0\n")
        plugin = f"{Loader.__module__}:{Loader.__name__}"
        (info / "entry_points.txt").write_text(f"[tensorboard_plugins]\nfitwatch = {plugin}\n")
        package = Path(fitwatch.__file__).parents[1]
        environ["PYTHONPATH"] = f"{package}{os.pathsep}{info.parent}"
    with tensorboard(logs, environ) as address:
        yield address


def test_tensorboard_lists_it(server):
    def listed():
        with urllib.request.urlopen(f"{server}data/plugins_listing", timeout=60) as answer:
            return json.load(answer)["fitwatch"]

    until(lambda: listed()["enabled"])
    found = listed()
    assert found["tab_name"] == "Fitwatch"
    assert found["loading_mechanism"]["type"] == "IFRAME"
    with urllib.request.urlopen(f"{server}data/plugin/fitwatch/data/runs", timeout=60) as answer:
        assert [run["name"] for run in json.load(answer)["runs"]] == ["train"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_tab_in_a_browser(server, tmp_path):
    browser = Browser(tmp_path)
    try:
        page = browser.open(f"{server}#fitwatch")
        page.evaluate(
            "frame = () => [...document.querySelectorAll('iframe')]"
            ".map((one) => one.contentWindow).find((one) => one.fitwatch)"
        )
        page.wait("frame()?.fitwatch.charts().some((chart) => chart.ready)")
        assert page.evaluate("frame().fitwatch.charts()[0].tag") == "loss"
        theme = "frame().document.documentElement.dataset.theme"
        assert page.evaluate(theme) == "light"
        page.evaluate("document.body.classList.add('dark-mode')")
        page.wait(f"{theme} === 'dark'")
        if "FITWATCH_SCREENSHOTS" in os.environ:
            folder = Path(os.environ["FITWATCH_SCREENSHOTS"])
            (folder / "tab.png").write_bytes(page.screenshot())
        assert page.errors() == []
        # Another tab in front: the page is hidden, and asks nothing.
        requests = "frame().performance.getEntriesByType('resource').length"
        page.evaluate("location.hash = '#scalars'")
        page.wait("frame().innerHeight === 0")
        time.sleep(0.3)
        before = page.evaluate(requests)
        time.sleep(2.5)
        assert page.evaluate(requests) == before
        page.evaluate("location.hash = '#fitwatch'")
        page.wait(f"{requests} > {before}")
    finally:
        browser.close()
