"""Columns of values of every batch, besides the logs, on their way to sinks that ask by name."""

import numpy as np
import pytest
from scalars import LateScalar, late_reader

from fitwatch import _core

LOSS, METRIC, GRADIENT, SKIPS = 1, 2, 4, 128


def columns(*batches, names=("loss", "grad_norm"), kinds=(LOSS, GRADIENT), measured=()):
    """The columns of a call that has trained these batches."""
    made = _core.StepColumns(lambda: None, print)
    made.function = print
    made.name(list(names), list(kinds), len(measured))
    made.begin()
    for values in batches:
        made.push(list(values))
    made.measure(list(measured))
    return made


TWO = ((1.0, 10.0), (2.0, 20.0))


def feed(name, made, mask=LOSS | GRADIENT):
    series = _core.Series()
    return series, _core.Feed(_core.Losses([(name, series)]), made, mask)


def push(feed, logs, batch=0):
    said = []
    wanted = feed.push(batch, logs, lambda *shown: said.append(shown), late_reader())
    assert wanted
    return said


def values(series):
    return np.frombuffer(series.tobytes(0, len(series)), "float32").tolist()


@pytest.mark.parametrize(("name", "own"), [("loss", [1, 2]), ("grad_norm", [10, 20])])
def test_a_sink_asks_by_name(name, own):
    series, sink = feed(name, columns(*TWO))
    late = LateScalar(0.5)
    assert push(sink, {name: late}) == []
    assert values(series) == own
    assert not late.reads  # the step column takes the place of the metric


def test_a_sink_takes_columns_of_its_kinds():
    series, sink = feed("loss", columns(*TWO), GRADIENT)
    push(sink, {"loss": 0.5})
    # A value of the logs belongs to the last batch of the call.
    np.testing.assert_equal(values(series), [np.nan, 0.5])
    series, sink = feed("loss", columns(*TWO), METRIC)
    push(sink, {"loss": 0.5})
    assert values(series) == [0.5]


def test_columns_that_were_not_filled():
    series, sink = feed("loss", columns())
    push(sink, {"loss": 0.25})
    assert values(series) == [0.25]
    assert push(sink, {"accuracy": 0.5}, batch=7) == [(7, {"accuracy": None})]


def test_a_train_function_that_was_replaced_is_noticed():
    told = []
    model = type("Model", (), {"train_function": len})()
    made = _core.StepColumns(lambda: model, lambda: told.append("replaced"))
    made.function = print
    made.name(["loss"], [LOSS], 0)
    made.begin()
    made.push([1.0])
    series, sink = feed("loss", made)
    push(sink, {"loss": 0.5})
    assert (values(series), told) == ([0.5], ["replaced"])
    model.train_function = print
    push(sink, {"loss": 0.5})
    assert values(series) == [0.5, 1.0]


def test_names_that_change_within_a_call_give_no_values():
    made = columns(*TWO)
    made.name(["loss"], [LOSS], 0)
    made.push([3.0])
    series, sink = feed("loss", made)
    push(sink, {"loss": 0.5})
    assert values(series) == [0.5]
    made.begin()
    made.push([3.0])
    push(sink, {"loss": 0.5})
    assert values(series) == [0.5, 3.0]
    assert made.trained == 4


def test_columns_without_a_value_are_refused():
    made = columns()
    with pytest.raises(ValueError, match="a step column has no value"):
        made.push([1.0])
    with pytest.raises(ValueError, match="a step column has no kind"):
        made.name(["loss"], [], 0)


def test_measured_columns_belong_to_the_last_batch_of_a_call():
    made = columns((1.0,), (2.0,), names=("loss", "rate"), measured=(7.0,))
    series, sink = feed("rate", made)
    push(sink, {})
    np.testing.assert_equal(values(series), [np.nan, 7])


def test_a_negative_value_of_a_column_that_skips_is_no_value():
    made = columns((1.0, -1.0), (2.0, 20.0), kinds=(LOSS, GRADIENT | SKIPS))
    series, sink = feed("grad_norm", made)
    push(sink, {})
    np.testing.assert_equal(values(series), [np.nan, 20])
    stopping = _core.EarlyStopping()
    stopping.judge([(False, 0.0, None, None, None)], False)
    watch = _core.Watch(stopping, ["grad_norm"])
    _core.Feed(watch, made, GRADIENT).push(0, {}, print, late_reader())
    assert (watch.seen, stopping.best) == (2, 20.0)


def test_all_columns_become_series_of_one_length():
    series = {}

    def make(name):
        series[name] = _core.Series()
        for _ in range(len(series.get("mae", ()))):
            series[name].append(np.nan)
        return series[name]

    sink = _core.Losses([], make)
    made = columns((1.0, 10.0))
    _core.Feed(sink).push(0, {"mae": 0.5}, print, late_reader())
    _core.Feed(sink, made, GRADIENT).push(0, {"mae": 0.25}, print, late_reader())
    _core.Feed(sink, made, GRADIENT).push(0, {"mae": 0.125, "b": 1.0}, print, late_reader())
    assert values(series["mae"]) == [0.5, 0.25, 0.125]
    np.testing.assert_equal(values(series["grad_norm"]), [np.nan, 10, 10])
    np.testing.assert_equal(values(series["b"]), [np.nan, np.nan, 1])


def test_arguments_are_checked(tmp_path):
    with pytest.raises(TypeError, match="sink must be one of the core"):
        _core.Feed("no sink")
    file = _core.CsvFile(tmp_path / "log.csv", ",")
    rows = _core.Feed(_core.Rows(1, file, print))
    with pytest.raises(TypeError, match="batch must be a whole number; got 'first'"):
        rows.push("first", {}, print, late_reader())


def test_a_watch_judges_the_step_column_of_each_metric():
    stopping = _core.EarlyStopping()
    stopping.judge([(False, 0.0, None, 15.0, None)], False)
    watch = _core.Watch(stopping, ["grad_norm"])
    told = []
    feed = _core.Feed(watch, columns(*TWO), GRADIENT)
    feed.push(1, {"loss": 3.0}, lambda batch, logs: told.append(watch.verdict), late_reader())
    assert [batch for _, batch in told] == [1]  # 20.0 is above the threshold, 10.0 is not
    assert watch.seen == 2


def test_rows_of_csv_files_go_on_counting_when_columns_cannot_be_taken(tmp_path):
    file = _core.CsvFile(tmp_path / "log.csv", ",")
    file.add_columns(["epoch", "batch", "loss"])
    made = columns(names=["loss"], kinds=[LOSS])
    rows = _core.Rows(10, file, print)
    feed = _core.Feed(rows, made, LOSS)
    for batch in range(25):
        made.begin()
        if batch < 15:
            made.push([1.0])
        feed.push(batch, {"loss": 2.0}, print, late_reader())
    file.flush()
    lines = (tmp_path / "log.csv").read_text().split()
    assert lines == ["epoch,batch,loss", "0,9,1.0", "0,19,2.0"]


def test_rows_and_scalars_have_the_columns_that_are_no_metrics(tmp_path):
    file = _core.CsvFile(tmp_path / "log.csv", ",")
    file.add_columns(["epoch", "batch", "loss", "grad_norm"])
    rows = _core.Feed(_core.Rows(1, file, print, 2), columns(*TWO), GRADIENT)
    rows.push(1, {"loss": 5.0}, print, late_reader())
    file.flush()
    lines = (tmp_path / "log.csv").read_text().split()
    assert lines == ["epoch,batch,loss,grad_norm", "0,0,NA,10.0", "0,1,5.0,20.0"]
    told = []
    scalars = _core.Feed(_core.Scalars(_core.Counter(), 1, None, "batch_"), columns(*TWO), GRADIENT)
    scalars.push(1, {"loss": 5.0}, lambda *shown: told.append(shown), late_reader())
    assert told == [(0, {"grad_norm": 10.0}), (1, {"loss": 5.0, "grad_norm": 20.0})]


class Rows16:
    """A shift register of one column and one metric, batch after batch."""

    def __init__(self, rows=4):
        self.made = columns(names=["loss"], kinds=[LOSS])
        self.tape = _core.Tape(1, ["mae"], rows, "address float32")
        self.rows = [0.0] * 2 * rows
        self.arrays = []

    def batch(self, loss):
        self.rows = [*self.rows[2:], loss, loss + 0.5]
        self.arrays.append(LateScalar(*self.rows))
        self.made.begin()
        return self.tape.push(self.made, self.arrays[-1])


def test_a_shift_register_is_read_once_in_many_batches():
    register = Rows16()
    logs = [register.batch(float(loss)) for loss in range(10)]
    reader = late_reader()
    # The last two are in a block that is not closed: the newest array has them.
    assert [reader.read(one["mae"]) for one in logs] == [loss + 0.5 for loss in range(10)]
    assert [at for at, array in enumerate(register.arrays) if array.reads] == [3, 7, 9]


def test_a_register_that_another_fit_goes_on_with_is_closed():
    register = Rows16()
    before = register.batch(1.0)
    register.tape.close()
    register.rows = [0.0] * 8
    register.batch(2.0)
    assert float(before["mae"]) == 1.5
