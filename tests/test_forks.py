"""Files in a child of a fork: they are the parent's to write, to replace and to remove."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# How a child ends: by itself, with all destructors; or by an exception.
ENDS = ["sys.exit(0)", "gc.collect(); os._exit(0)", "raise SystemExit(0)"]


def run(before, in_child, after, end):
    """Runs a script that forks."""
    code = f"""
import gc, os, sys
from pathlib import Path
from fitwatch import _core
{before}
child = os.fork()
if not child:
    {in_child}
    {end}
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
{after}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "in_child",
    [
        "pass",
        "del file",
        "file.flush()",
        "file.sync()",
        "file.add_row({'epoch': 'child'}); file.flush(); file.add_row({'epoch': 'child'})",
        "file.add_columns(['late']); file.add_row({'late': 'child'}); file.flush()",
    ],
)
def test_rows_are_written_once_and_by_the_parent(in_child, end, tmp_path):
    path = tmp_path / "log.csv"
    before = f"""
file = _core.CsvFile({str(path)!r}, ",")
file.add_columns(["epoch"])
file.flush()
file.add_row({{"epoch": "0"}})
file.flush()
file.add_row({{"epoch": "1"}})
"""
    run(before, in_child, 'file.add_row({"epoch": "2"}); file.flush()', end)
    assert path.read_text().split() == ["epoch", "0", "1", "2"]
    assert os.listdir(tmp_path) == ["log.csv"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "in_child", ["pass", "del new", "new.discard()", "try: new.commit()\n    except OSError: pass"]
)
def test_a_replacement_is_the_parents(in_child, end, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    before = f"""
new = _core.Replacement({str(path)!r})
new.path.write_text("half")
"""
    after = f"""
assert Path({str(path)!r}).read_text() == "old"
assert new.path.read_text() == "half"
new.path.write_text("new")
new.commit()
"""
    run(before, in_child, after, end)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("in_child", ["pass", "del file", "file.close()", "file.flush()"])
def test_events_are_written_once_and_by_the_parent(in_child, end, tmp_path):
    before = f"""
file = _core.EventFile(Path({str(tmp_path)!r}), "host")
file.add_scalar("x", 1.0, 1)
"""
    run(before, in_child, "file.close()", end)
    (written,) = tmp_path.iterdir()
    assert written.read_bytes().count(b"scalars") == 1
