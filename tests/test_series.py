"""The compiled series, from Python."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from fitwatch._core import Series


def array(series, start=0, stop=2**60):
    return np.frombuffer(series.tobytes(start, stop), dtype=np.float32)


def filled(n, capacity=None):
    series = Series(capacity)
    for value in range(n):
        series.append(value)
    return series


@pytest.mark.parametrize(("start", "stop"), [(0, 200_000), (65_535, 65_537), (5, 5), (9, 3)])
def test_reads_what_was_appended(start, stop):
    series = filled(200_000)
    np.testing.assert_array_equal(array(series, start, stop), np.arange(start, max(start, stop)))


def test_values_are_rounded_to_float32():
    series = Series()
    for value in (0.1, float("nan"), float("inf"), -0.0, 1e-40, 1e300):
        series.append(value)
    expected = np.array([0.1, np.nan, np.inf, -0.0, 1e-40, np.inf], dtype=np.float32)
    np.testing.assert_array_equal(array(series), expected)
    assert np.signbit(array(series)[3])


def test_reading_makes_no_object_per_value():
    series = filled(1_000_000)
    tracemalloc.start()
    values = array(series)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.nbytes == 4_000_000
    assert peak < 4_100_000


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda series: pickle.loads(pickle.dumps(series))]
)
@pytest.mark.parametrize("capacity", [None, 4])
def test_copies_are_equal_and_independent(copied, capacity):
    series = filled(10, capacity)
    twin = copied(series)
    assert (len(twin), twin.first, twin.capacity) == (10, series.first, capacity)
    twin.append(99)
    assert (len(twin), len(series)) == (11, 10)
    np.testing.assert_array_equal(array(twin, 9, 11), [9, 99])


def test_a_value_may_run_python_code_while_it_is_converted():
    series = Series()

    class Reads:
        def __float__(self):
            return float(len(series))

    for _ in range(3):
        series.append(Reads())
    assert array(series).tolist() == [0, 1, 2]
