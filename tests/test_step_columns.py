"""Columns that leave the train step for every batch, on their way to sinks that ask by name."""

import numpy as np
import pytest
from scalars import LateScalar, late_reader

from fitwatch import _core


class Source:
    """Two columns of a call that trains two batches."""

    values = ([1.0, 2.0], [10.0, 20.0])


def feed(name, source=Source, names=("loss", "grad_norm")):
    series = _core.Series()
    columns = _core.StepColumns(list(names), source())
    return series, _core.Feed(_core.Losses(series, name), columns)


def push(feed, logs, batch=0):
    said = []
    wanted = feed.push(batch, logs, lambda *shown: said.append(shown), late_reader())
    assert wanted
    return said


def values(series):
    return np.frombuffer(series.tobytes(0, len(series)), "float32").tolist()


@pytest.mark.parametrize(("name", "own"), [("loss", [1, 2]), ("grad_norm", [10, 20])])
def test_a_sink_asks_by_name(name, own):
    series, sink = feed(name)
    late = LateScalar(0.5)
    assert push(sink, {name: late}) == []
    assert values(series) == own
    assert not late.reads  # the step column takes the place of the metric


def test_a_metric_that_is_no_step_column_comes_from_the_logs():
    series, sink = feed("accuracy")
    push(sink, {"accuracy": LateScalar(0.5), "loss": 3.0})
    assert values(series) == [0.5]


def test_columns_that_could_not_be_taken():
    series, sink = feed("loss", type("Empty", (), {"values": ((), ())}))
    push(sink, {"loss": 0.25})
    assert values(series) == [0.25]
    assert push(sink, {"accuracy": 0.5}, batch=7) == [(7, {"accuracy": None})]


@pytest.mark.parametrize("columns", [([1.0], [1.0, 2.0]), ([1.0],)])
def test_columns_of_unequal_length_are_refused(columns):
    _, sink = feed("loss", type("Uneven", (), {"values": columns}))
    with pytest.raises(ValueError, match="step column"):
        push(sink, {})


def test_arguments_are_checked(tmp_path):
    with pytest.raises(TypeError, match="sink must be one of the core"):
        _core.Feed("no sink")
    file = _core.CsvFile(tmp_path / "log.csv", ",")
    rows = _core.Feed(_core.Rows(1, file, print))
    with pytest.raises(TypeError, match="batch must be a whole number; got 'first'"):
        rows.push("first", {}, print, late_reader())


def test_a_watch_judges_the_step_column_of_each_metric():
    stopping = _core.EarlyStopping()
    stopping.judge([(False, 0.0, None, 15.0)], False)
    watch = _core.Watch(stopping, ["grad_norm"])
    told = []
    feed = _core.Feed(watch, _core.StepColumns(["loss", "grad_norm"], Source()))
    feed.push(1, {"loss": 3.0}, lambda batch, logs: told.append(watch.verdict), late_reader())
    assert [batch for _, batch in told] == [1]  # 20.0 is above the threshold, 10.0 is not
    assert watch.seen == 2


def test_rows_of_csv_files_go_on_counting_when_columns_cannot_be_taken(tmp_path):
    file = _core.CsvFile(tmp_path / "log.csv", ",")
    file.add_columns(["epoch", "batch", "loss"])
    source = Source()
    source.values = ([1.0],)
    rows = _core.Rows(10, file, print)
    feed = _core.Feed(rows, _core.StepColumns(["loss"], source))
    for batch in range(25):
        if batch == 15:
            source.values = ((),)
        feed.push(batch, {"loss": 2.0}, print, late_reader())
    file.flush()
    lines = (tmp_path / "log.csv").read_text().split()
    assert lines == ["epoch,batch,loss", "0,9,1.0", "0,19,2.0"]
