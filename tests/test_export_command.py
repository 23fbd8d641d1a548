"""`python -m fitwatch export`."""

import subprocess
import sys

import pandas as pd
import pytest

import fitwatch


def export(*arguments):
    command = [sys.executable, "-m", "fitwatch", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(("suffix", "reader"), [("parquet", pd.read_parquet), ("csv", pd.read_csv)])
def test_a_table(tmp_path, suffix, reader):
    with fitwatch.EventFileWriter(tmp_path / "logs" / "train") as writer:
        writer.add_series("loss", [0.5, 0.25], range(2))
    file = tmp_path / f"runs.{suffix}"
    done = export(tmp_path / "logs", "--to", file)
    assert (done.returncode, done.stdout) == (0, f"{file}: 2 points of 1 run\n")
    assert reader(file).value.tolist() == [0.5, 0.25]


def test_errors(tmp_path):
    for arguments, problem in [
        ((tmp_path / "nowhere", "--to", tmp_path / "x.csv"), "No such file or directory"),
        ((tmp_path, "--to", tmp_path / "x.csv"), "nothing to read here"),
        ((tmp_path, "--to", "x.json"), "--to must end in .parquet or .csv; got 'x.json'"),
        ((tmp_path,), "required: --to"),
    ]:
        done = export(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
