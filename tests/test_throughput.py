"""The speed of training: the binding reads the clock; the numbers are tested in the core."""

import copy
import math
import pickle
import time

import health
import pytest

from fitwatch._core import Throughput


def speed(throughput, remaining=None):
    values = throughput.values(remaining)
    return dict(zip(throughput.names, values, strict=True))


def test_before_the_first_batch_nothing_is_known():
    assert all(math.isnan(value) for value in Throughput(10).values(5))


@health.compares_times
def test_real_time():
    throughput = Throughput(10)
    began = time.perf_counter()
    for _ in range(5):
        throughput.begin()
        time.sleep(0.02)
        throughput.end(0.005, 2, 64)
    took = time.perf_counter() - began
    found = speed(throughput, remaining=100)
    assert found["batches_per_second"] == pytest.approx(10 / took, rel=0.05)
    assert found["samples_per_second"] == pytest.approx(5 * 64 / took, rel=0.05)
    assert found["data_wait"] == pytest.approx(5 * 0.005 / took, rel=0.05)
    assert 0.0098 < found["step_time_p50"] <= found["step_time_p90"] <= found["step_time_p99"]
    assert found["eta_seconds"] >= 100 * 0.01


def test_a_pause_does_not_count():
    throughput = Throughput(10)
    for _ in range(2):
        throughput.begin()
        throughput.end(None, 1, None)
        throughput.pause()
        time.sleep(0.3)
    found = speed(throughput)
    assert found["batches_per_second"] > 10
    assert math.isnan(found["samples_per_second"])
    assert math.isnan(found["data_wait"])
    assert math.isnan(found["eta_seconds"])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_has_measured_nothing(copied):
    throughput = Throughput(7)
    throughput.begin()
    throughput.end(None, 1, None)
    other = copied(throughput)
    assert other.__reduce__() == (Throughput, (7,))
    assert all(math.isnan(value) for value in other.values())


@pytest.mark.parametrize("arguments", [(None, -1, None), (None, 1, -1), ("no", 1, None)])
def test_bad_arguments_raise(arguments):
    with pytest.raises((TypeError, OverflowError)):
        Throughput(1).end(*arguments)
