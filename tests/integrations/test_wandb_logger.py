"""WandbLogger with the real package: offline, the run's own file is read back; online, a server."""

import doctest
import json
import math
import threading

import numpy as np
import pytest
import test_manifest
from side_by_side import STOCK, Failed, fit, make_model, run
from test_wandb import start
from wandb_files import axes_of, rows_of
from wandb_server import serve

from fitwatch import callbacks
from fitwatch._keras.manifest import MANIFEST
from fitwatch._sinks.block import Block
from fitwatch._sinks.wandb_run import WandbRun

wandb = pytest.importorskip("wandb")

PACKAGES = ["wandb"]
BATCHES = 100_000


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    wandb.teardown()


def test_every_batch_of_100_000():
    """With its step and values, beside the rows that another thread logs meanwhile."""
    run = start()
    tracker = WandbRun()
    tracker.begin(None)
    other = threading.Thread(target=lambda: [run.log({"mine": i}) for i in range(1000)])
    other.start()
    rng = np.random.default_rng(0)
    loss, accuracy = rng.normal(size=BATCHES), rng.normal(size=BATCHES)
    loss[123], loss[456], accuracy[::3] = math.nan, math.inf, math.nan
    for first in range(0, BATCHES, 1000):
        steps = np.arange(first, first + 1000)
        columns = {"loss": loss[steps], "accuracy": accuracy[steps]}
        tracker(Block("batch", steps, steps // 500, 1.5e9 + steps, columns))
        if first % 10_000 == 9_000:
            tracker(Block("epoch", steps[-1:], [first // 10_000], [1.5e9], {"loss": [first]}))
    assert tracker._bulk is not None
    tracker.end(failed=False)
    other.join()
    rows = rows_of(run)
    assert [row["_step"] for row in rows] == list(range(BATCHES + 10 + 1000))
    batches = [row for row in rows if "batch/loss" in row]
    assert [row["batch/batch_step"] for row in batches] == list(range(BATCHES))
    assert [row["_timestamp"] for row in batches] == [1.5e9 + step for step in range(BATCHES)]
    logged = [row["batch/loss"] for row in batches]
    np.testing.assert_array_equal(logged, loss)
    present = [None if math.isnan(value) else value for value in accuracy.tolist()]
    assert [row.get("batch/accuracy") for row in batches] == present
    assert [row["epoch/epoch"] for row in rows if "epoch/epoch" in row] == list(range(10))
    assert [row["mine"] for row in rows if "mine" in row] == list(range(1000))


@pytest.mark.parametrize("entry", [e for e in MANIFEST if e.module.startswith("wandb")], ids=str)
def test_the_internals_are_there(entry):
    test_manifest.require(entry)


def test_rows_at_once_are_those_of_run_log():
    """The messages of the short way have the content of those of `run.log`."""
    run = start()
    values = [0, 7, 0.5, 1e-300, 1e17, 123456789.123, math.nan, math.inf, -math.inf]
    block = Block("batch", range(9), [0] * 9, [1.5e9] * 9, {"loss": values})
    many, one_by_one = WandbRun(), WandbRun()
    for tracker in (many, one_by_one):
        tracker.begin(None)
        if tracker is one_by_one:
            tracker._bulk = None
        tracker(block)
    rows = rows_of(run)
    for row in rows:
        del row["_runtime"]
    rows = [dict(sorted(row.items())) for row in rows]  # wandb has no order
    assert [row.pop("_step") for row in rows] == list(range(18))
    steps = [row.pop("batch/batch_step") for row in rows]
    assert steps == list(range(18))
    assert repr(rows[:9]) == repr(rows[9:])


def test_the_names_of_wandb_metrics_logger():
    """And its values, where they are of the same kind: `batch/loss` is of the batch alone."""
    theirs = run("wandb_files", "by_metrics_logger", STOCK)
    if isinstance(theirs, Failed):
        pytest.skip(f"WandbMetricsLogger fails on this backend: {theirs}")
    of_wandb = start()
    fit(make_model(), callbacks.WandbLogger(), callbacks.LearningRateMonitor())
    ours, axes = rows_of(of_wandb), axes_of(of_wandb)
    ours = [row for row in ours if "batch/val_loss" not in row]
    for prefix, axis in (("batch/", "batch/batch_step"), ("epoch/", "epoch/epoch")):
        rows, their_axes = theirs[prefix[:-1]]
        rows = [row for row in rows if axis in row]
        mine = [row for row in ours if axis in row]
        assert [row[axis] for row in mine] == [row[axis] for row in rows]
        for ours_row, row in zip(mine, rows, strict=True):
            names = {name for name in row if name.startswith(prefix)}
            assert names == {name for name in ours_row if name.startswith(prefix)}
            for name in names - {"batch/loss"}:
                assert ours_row[name] == pytest.approx(row[name], rel=1e-5), name
        assert their_axes.items() <= axes.items()


def test_the_example_of_the_docstring():
    """Which is skipped where wandb is not installed."""
    runner = doctest.DocTestRunner()
    (test,) = doctest.DocTestFinder().find(callbacks.WandbLogger, "WandbLogger", globs={})[:1]
    assert test.examples
    for example in test.examples:
        example.options.clear()
    assert runner.run(test) == (0, len(test.examples))


def test_a_fit_in_a_disabled_run():
    run = wandb.init(mode="disabled")
    fit(make_model(), callbacks.WandbLogger(), epochs=1)
    run.finish()


def test_a_run_that_is_finished_before_or_during_the_training():
    first = start()
    first.finish()
    with pytest.raises(RuntimeError, match=f"cannot log to the run {first.id}: .*is finished"):
        fit(make_model(), callbacks.WandbLogger(first), epochs=1)
    with pytest.raises(RuntimeError, match=r"no run: call wandb.init\(\) before"):
        fit(make_model(), callbacks.WandbLogger(), epochs=1)
    second = wandb.init(mode="offline", settings=wandb.Settings(silent=True))
    tracker = WandbRun(second)
    tracker.begin(None)
    second.finish()
    with pytest.raises(wandb.errors.UsageError, match="is finished"):
        tracker(Block("batch", [0, 1], [0, 0], [1.5e9] * 2, {"loss": [1, 2]}))


def test_a_resumed_run(monkeypatch):
    """The file of a server has each row once, though the backup is older than the run."""
    with serve() as server:
        for name, value in {
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": "0" * 40,
            "WANDB_ERROR_REPORTING": "false",
        }.items():
            monkeypatch.setenv(name, value)
        settings = wandb.Settings(
            x_disable_stats=True, x_disable_meta=True, console="off", silent=True
        )

        def begun(state):
            run = wandb.init(id="one", project="test", resume="allow", settings=settings)
            tracker = WandbRun()
            tracker.state = state
            tracker.begin(None)
            return run, tracker

        def blocks():
            for first in range(0, 100, 10):
                steps = np.arange(first, first + 10)
                yield Block("batch", steps, steps // 50, 1.5e9 + steps, {"loss": steps / 10})
                if first in (40, 90):
                    yield Block("validation", steps[-1:], [0], [1.5e9], {"val_loss": [first]})
                    yield Block("epoch", steps[-1:], [first // 50], [1.5e9], {"loss": [first]})

        given = list(blocks())
        run, tracker = begun({})
        assert not run.resumed
        state = dict(tracker.state)
        # What the first process logs ends in a block, and after a validation.
        for end, begin in ((6, 3), (9, 4)):
            for block in given[begin - 3 if end == 6 else begin : end]:
                tracker(block)
            run.finish()
            run, tracker = begun(state)
            assert run.resumed
        for block in given[5:]:
            tracker(block)
        run.finish()
        rows = [json.loads(row) for row in server.history]
    assert [row["batch/batch_step"] for row in rows if "batch/loss" in row] == list(range(100))
    assert [row["batch/batch_step"] for row in rows if "batch/val_loss" in row] == [49, 99]
    assert [row["epoch/epoch"] for row in rows if "epoch/epoch" in row] == [0, 1]
    assert [row["_step"] for row in rows] == list(range(104))
