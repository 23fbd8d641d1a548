"""Interleaved comparisons: records them, prints them and stores them for `report.py`."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import statistics
import time

import keras
import pytest
import report

ROUNDS = int(os.environ.get("FITWATCH_BENCH_ROUNDS", "31"))
NOTED = []


def seconds(function):
    """The time that a function takes, or the one that it returns."""
    begin = time.perf_counter()
    measured = function()
    return time.perf_counter() - begin if measured is None else measured


def note(table, what, ours, theirs=(), beside="stock Keras", unit="s"):
    """Records one row of a table, and returns its median ratio.

    `ours` and `theirs` are figures of the same rounds; with an empty `theirs`, the row has no
    comparison.
    """
    row = {"table": table, "what": what, "unit": unit, "ours": statistics.median(ours)}
    if len(theirs):
        row |= {"beside": beside, "theirs": statistics.median(theirs)}
    if len(theirs) and unit in report.HAVE_RATIOS:
        ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
        row |= {
            "ratio": statistics.median(ratios),
            "quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
        }
    NOTED.append(row)
    return row.get("ratio")


@pytest.fixture
def beside_keras(benchmark, request):
    """Times two functions that make `calls` calls each, in turn, and notes the ratio."""

    def compare(ours, stock, calls, table):
        ours(), stock()  # the first call sets things up
        pairs = [(seconds(ours) / calls, seconds(stock) / calls) for _ in range(ROUNDS)]
        mine, theirs = zip(*pairs, strict=True)
        ratio = note(table, request.node.callspec.id, mine, theirs)
        benchmark.extra_info.update(NOTED[-1])
        benchmark.pedantic(ours, rounds=ROUNDS)
        return ratio

    return compare


def pytest_terminal_summary(terminalreporter):
    if not NOTED:
        return
    found = report.of_backend(NOTED)
    report.keep(found)
    terminalreporter.section(f"beside Keras {keras.__version__} on {keras.config.backend()}")
    for line in report.markdown([found]).splitlines():
        terminalreporter.write_line(line)
