"""The comparison of fitwatch and stock Keras: interleaved in one run, as ratios with medians."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import statistics
import time

import keras
import pytest

ROUNDS = 31
ROWS = []
TABLES = []  # pairs of a title and lines of Markdown


def seconds(function):
    """How long a function takes, unless it says so itself."""
    begin = time.perf_counter()
    measured = function()
    return time.perf_counter() - begin if measured is None else measured


@pytest.fixture
def beside_keras(benchmark, request):
    """Times two functions that make `calls` calls each, in turn, and notes the ratio."""

    def compare(ours, stock, calls):
        ours(), stock()  # the first call sets things up
        pairs = [(seconds(ours), seconds(stock)) for _ in range(ROUNDS)]
        ratios = sorted(mine / theirs for mine, theirs in pairs)
        per_call = [statistics.median(times) / calls * 1e6 for times in zip(*pairs, strict=True)]
        row = {
            "hook": request.node.callspec.id,
            "ours_us": per_call[0],
            "stock_us": per_call[1],
            "ratio": statistics.median(ratios),
            "quartiles": (ratios[ROUNDS // 4], ratios[-ROUNDS // 4]),
        }
        ROWS.append(row)
        benchmark.extra_info.update(row)
        benchmark.pedantic(ours, rounds=ROUNDS)
        return row["ratio"]

    return compare


def pytest_terminal_summary(terminalreporter):
    for title, lines in TABLES:
        terminalreporter.section(f"{title}, Keras {keras.__version__} on {keras.config.backend()}")
        for line in lines:
            terminalreporter.write_line(line)
    if not ROWS:
        return
    terminalreporter.section(f"beside Keras {keras.__version__} on {keras.config.backend()}")
    terminalreporter.write_line("| hook | fitwatch | stock Keras | ratio (quartiles) |")
    terminalreporter.write_line("|---|---:|---:|---:|")
    for row in ROWS:
        low, high = row["quartiles"]
        terminalreporter.write_line(
            f"| {row['hook']} | {row['ours_us']:.2f} µs | {row['stock_us']:.2f} µs "
            f"| {row['ratio']:.3f} ({low:.3f} to {high:.3f}) |"
        )
