"""Recorded runs as tables: pandas, Arrow, Parquet, CSV; DuckDB over them."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import fitwatch


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for name in "ab":
        with fitwatch.EventFileWriter(folder / name) as writer:
            writer.add_series("loss", np.arange(5) / 4, range(5))
            writer.add_series("acc", [0.5, 0.75], [1, 3])
    return fitwatch.read(folder)


def test_long(runs):
    table = runs.to_pandas()
    assert list(table.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert table.dtypes.astype(str).tolist() == [
        *("category", "category", "int64", "float64", "float32"),
    ]
    assert len(table) == 14
    chosen = table[(table.run == "b") & (table.tag == "acc")]
    assert chosen.step.tolist() == [1, 3]
    assert chosen.value.tolist() == [0.5, 0.75]


def test_wide(runs):
    one = runs["a"].to_pandas(wide=True)
    assert one.index.name == "step"
    assert one.loss.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert one.acc[[1, 3]].tolist() == [0.5, 0.75]
    assert one.acc[[0, 2, 4]].isna().all()
    both = runs.to_pandas(wide=True)
    assert both.index.names == ["run", "step"]
    assert both.loc["b"].equals(one)


def test_wide_needs_steps_in_order(tmp_path):
    with fitwatch.EventFileWriter(tmp_path) as writer:
        writer.add_series("loss", [0.5, 0.25], [1, 1])
    runs = fitwatch.read(tmp_path, keep_superseded=True)
    assert runs.to_pandas().step.tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"the tag 'loss' of run '\.' has points whose steps go"):
        runs.to_pandas(wide=True)


def test_arrow_without_a_copy(runs):
    table = runs["a"].to_arrow()
    assert table.num_rows == 7
    assert table["value"].type == "float"
    scalars = runs["a"].scalars["acc"]
    for column, array in (("step", scalars.steps), ("value", scalars.values)):
        chunk = table[column].chunk(0)  # tags are ascending
        assert chunk.to_numpy().tolist() == array.tolist()
        assert chunk.buffers()[1].address == array.ctypes.data


def test_arrow_of_float32_and_float64(tmp_path, runs):
    (tmp_path / "log.csv").write_text("epoch,loss\r\n0,0.1\r\n")
    table = fitwatch.read(tmp_path).to_arrow()
    assert table["value"].to_pylist() == [0.1]
    assert table["value"].type == "double"


def test_the_stream_of_arrow(runs):
    import pyarrow

    reader = pyarrow.RecordBatchReader.from_stream(runs)
    assert reader.read_all().equals(runs.to_arrow())


def test_no_points(tmp_path):
    with fitwatch.EventFileWriter(tmp_path):
        pass
    runs = fitwatch.read(tmp_path)
    assert len(runs.to_pandas()) == runs.to_arrow().num_rows == 0
    assert len(runs.to_pandas(wide=True)) == 0


def test_files(runs, tmp_path):
    import pandas as pd

    runs.to_parquet(tmp_path / "runs.parquet")
    runs.to_csv(tmp_path / "runs.csv")
    expected = runs.to_pandas()
    for found in (pd.read_parquet(tmp_path / "runs.parquet"), pd.read_csv(tmp_path / "runs.csv")):
        for column in expected:
            assert found[column].tolist() == expected[column].tolist()
    with pytest.raises(FileNotFoundError):
        runs.to_parquet(tmp_path / "no folder" / "runs.parquet")


def test_duckdb_over_many_runs(tmp_path):
    """The example of docs/seeing.md, over 1,000 runs."""
    import duckdb

    for number in range(1000):
        with fitwatch.EventFileWriter(tmp_path / f"run{number}") as writer:
            losses = 1 / np.arange(1, 11) + abs(number - 417) / 1000
            writer.add_series("val_loss", losses, range(10))
    runs = fitwatch.read(tmp_path)
    runs.to_parquet(tmp_path / "runs.parquet")
    for table in ("runs", f"'{tmp_path}/runs.parquet'"):
        best = duckdb.sql(
            f"select run, min(value) from {table} where tag = 'val_loss' "
            "group by run order by 2 limit 1"
        ).fetchall()
        assert best == [("run417", pytest.approx(0.1))]


@pytest.mark.parametrize(
    ("call", "arguments", "package"),
    [
        ("to_pandas", [], "pandas"),
        ("to_arrow", [], "pyarrow"),
        ("to_parquet", ["x"], "pyarrow"),
        ("to_csv", ["x"], "pyarrow"),
    ],
)
def test_a_missing_package_is_named(runs, monkeypatch, call, arguments, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else found(name)
    )
    with pytest.raises(ImportError, match=rf"{call}\(\) needs {package}: pip install {package}"):
        getattr(runs, call)(*arguments)


def test_reading_imports_no_keras(runs, tmp_path):
    with fitwatch.EventFileWriter(tmp_path) as writer:
        writer.add_series("loss", [0.5], [0])
    code = (
        "import sys, fitwatch; fitwatch.read(sys.argv[1])['.'].scalars['loss'].values; "
        "sys.exit('keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_plot(runs, tmp_path):
    figure = runs["a"].plot("loss", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000
    axes = figure.axes[0]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("a", "Step", "loss")
    assert axes.lines[0].get_xdata().tolist() == [0, 1, 2, 3, 4]
    assert runs["a"].plot("acc").axes[0].lines[0].get_xdata().tolist() == [1, 3]
    with pytest.raises(KeyError, match="no such tag"):
        runs["a"].plot("no such tag")
