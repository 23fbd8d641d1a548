"""The table of where the time of `fit()` went."""

import pytest

from fitwatch._monitors.time_report import time_report


def report(**changed):
    nothing = {"steps": 0.0, "data_wait": 0.0, "validation": 0.0, "saving": 0.0, "rest": 0.0}
    return time_report(**{**nothing, "callbacks": [], **changed})


def test_the_largest_comes_first_in_aligned_columns():
    text = report(
        steps=1200.0,
        data_wait=600.0,
        validation=150.0,
        saving=30.5,
        callbacks=[("EarlyStopping", 0.004), ("Slow", 15.4), ("Slow", 0.1)],
        rest=4.0,
    )
    assert text == (
        "Where the time of fit() went:\n"
        "  training steps          1,200.00 s   60.0%\n"
        "  waiting for data          600.00 s   30.0%\n"
        "  validation                150.00 s    7.5%\n"
        "  saving checkpoints         30.50 s    1.5%\n"
        "  callback Slow              15.40 s    0.8%\n"
        "  other                       4.00 s    0.2%\n"
        "  callback Slow               0.10 s    0.0%\n"
        "  callback EarlyStopping      0.00 s    0.0%\n"
        "  total                   2,000.00 s  100.0%"
    )


def test_what_took_no_time_is_left_out():
    assert report(rest=2.0, callbacks=[("Idle", 0.0)]).splitlines()[1:] == [
        "  other  2.00 s  100.0%",
        "  total  2.00 s  100.0%",
    ]
    assert report().splitlines()[1:] == ["  total  0.00 s  0.0%"]


@pytest.mark.parametrize(
    ("data_wait", "name"), [(0.0, "training steps "), (None, "training steps and their data ")]
)
def test_a_wait_that_is_not_known_is_part_of_the_steps(data_wait, name):
    assert name in report(steps=1.0, data_wait=data_wait)
