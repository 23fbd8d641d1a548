"""`fitwatch.EventFileWriter` in hand-written loops, read back with TensorBoard's reader."""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from event_reader import read
from scalars import backend_scalar
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fitwatch


def points(folder, tag):
    """Steps, values and times of a series."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    found = events.Tensors(tag)
    values = [np.frombuffer(e.tensor_proto.tensor_content, "<f4")[0].item() for e in found]
    return [e.step for e in found], values, [e.wall_time for e in found]


def test_scalars_of_any_kind(tmp_path):
    written = [1, 0.1, True, np.float64(0.1), np.float32(0.1), np.int64(7), backend_scalar(0.1)]
    written += [float("nan"), float("-inf"), 1e300]
    with fitwatch.EventFileWriter(tmp_path) as writer:
        for step, value in enumerate(written):
            writer.add_scalar("x", value, step)
        writer.add_scalar(tag="y", scalar_value=2, global_step=np.int64(3), walltime=1.5)
        writer.add_scalar("z", 1.0)
    steps, values, _ = points(tmp_path, "x")
    assert steps == list(range(len(written)))
    with np.errstate(over="ignore"):
        np.testing.assert_equal(values, np.array([float(v) for v in written]).astype("float32"))
    assert points(tmp_path, "y") == ([3], [2.0], [1.5])
    assert points(tmp_path, "z")[0] == [0]
    assert read(tmp_path)["x"][:2] == ("scalars", b"")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "uint64", "bool"])
def test_a_series(tmp_path, dtype):
    values = np.arange(200_000) % 100
    with fitwatch.EventFileWriter(tmp_path) as writer:
        writer.add_series("x", values.astype(dtype)[::2], range(0, 200_000, 2))
    steps, read_back, _ = points(tmp_path, "x")
    assert steps == list(range(0, 200_000, 2))
    np.testing.assert_array_equal(read_back, values.astype(dtype)[::2].astype("float32"))


def test_series_of_other_forms(tmp_path):
    with fitwatch.EventFileWriter(tmp_path) as writer:
        writer.add_series("list", [0.5, 1], [3, 7], walltime=2.5)
        writer.add_series("tensor", backend_scalar([0.5, 1.0]), np.array([3, 7], "uint8"))
        writer.add_series("empty", [], [])
        writer.add_series("backwards", np.arange(3.0)[::-1], np.arange(3)[::-1])
    assert points(tmp_path, "list") == ([3, 7], [0.5, 1.0], [2.5, 2.5])
    assert points(tmp_path, "tensor")[:2] == ([3, 7], [0.5, 1.0])
    assert "empty" not in read(tmp_path)
    assert points(tmp_path, "backwards")[:2] == ([2, 1, 0], [2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", ["a"], [1]), TypeError, "values must be numbers"),
        (("x", [1j], [1]), TypeError, "values must be numbers"),
        (("x", [1.0], [1.5]), TypeError, "steps must be whole numbers"),
        (("x", [[1.0]], [1]), ValueError, r"values must have one dimension; .* \(1, 1\)"),
        (("x", 1.0, [1]), ValueError, "values must have one dimension"),
        (("x", [1.0, 2.0], [1]), ValueError, "2 values and 1 steps"),
        ((1, [1.0], [1]), TypeError, "tag"),
        (("x", [1.0], [1], "now"), TypeError, "walltime"),
        (("x", [1.0], np.array([2**63], "uint64")), ValueError, "steps must fit"),
    ],
)
def test_a_series_that_is_none(tmp_path, arguments, error, message):
    with fitwatch.EventFileWriter(tmp_path) as writer, pytest.raises(error, match=message):
        writer.add_series(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1.0, 1), "tag"),
        (("x", "one", 1), "scalar_value"),
        (("x", None, 1), "scalar_value"),
        (("x", 1.0, 1.5), "global_step"),
        (("x", 1.0, 1, "now"), "walltime"),
        (("x",), "scalar_value"),
    ],
)
def test_a_scalar_that_is_none(tmp_path, arguments, message):
    with fitwatch.EventFileWriter(tmp_path) as writer, pytest.raises(TypeError, match=message):
        writer.add_scalar(*arguments)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(TypeError, match="log_dir must be a string or a path; got 5"):
        fitwatch.EventFileWriter(5)
    with pytest.raises(ValueError, match="log_dir must be a local folder; got 'gs://a/b'"):
        fitwatch.EventFileWriter("gs://a/b")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fitwatch.EventFileWriter(tmp_path / "file")


def test_what_was_closed_takes_no_more(tmp_path):
    writer = fitwatch.EventFileWriter(tmp_path / "a" / "b")
    writer.add_scalar("x", 1.0, 1)
    writer.close()
    writer.close()
    writer.flush()
    for add in (
        lambda: writer.add_scalar("x", 1.0, 2),
        lambda: writer.add_series("x", [1.0], [2]),
        lambda: writer.add_series("x", [], []),
        lambda: writer.add_event(b""),
    ):
        with pytest.raises(ValueError, match="is closed"):
            add()
    assert points(tmp_path / "a" / "b", "x")[0] == [1]
    assert Path(writer.path).parent == tmp_path / "a" / "b"
    with pytest.raises(TypeError):
        pickle.dumps(writer)


def test_every_writer_has_a_file_of_its_own(tmp_path):
    writers = [fitwatch.EventFileWriter(tmp_path) for _ in range(3)]
    assert len({writer.path for writer in writers}) == len(list(tmp_path.iterdir())) == 3


STALLED = """
import os, sys, threading, fitwatch
end, terminal = os.openpty()
writer = fitwatch.EventFileWriter(sys.argv[1])
writer.follow(os.ttyname(terminal))  # its thread waits for a line now
writer.add_scalar("x", 1.0)
threading.Timer(0.5, os.close, [end]).start()
del writer
"""


def test_other_threads_run_while_a_file_that_goes_is_written(tmp_path):
    """The timer's thread lets the writing one go on."""
    subprocess.run([sys.executable, "-c", STALLED, tmp_path], check=True, timeout=60)
    assert points(tmp_path, "x")[1] == [1.0]


LEFT_OVER = """
import sys, fitwatch
writer = fitwatch.EventFileWriter(sys.argv[1])
writer.add_scalar("x", 1.0)
itself = [writer]
itself.append(itself)
"""


def test_a_file_that_goes_when_the_interpreter_ends(tmp_path):
    subprocess.run([sys.executable, "-c", LEFT_OVER, tmp_path], check=True, timeout=60)
    assert points(tmp_path, "x")[1] == [1.0]


def test_several_threads_write(tmp_path):
    with fitwatch.EventFileWriter(tmp_path) as writer:

        def write(name):
            for step in range(2000):
                writer.add_scalar(name, step, step)
                if step % 500 == 0:
                    writer.add_series(f"{name}/series", np.ones(3000), range(3000))
                    writer.flush()

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in "abcd":
        assert points(tmp_path, name)[0] == list(range(2000))
        assert len(points(tmp_path, f"{name}/series")[0]) == 12_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_nothing_and_ends(tmp_path):
    code = f"""
import os, sys, fitwatch
writer = fitwatch.EventFileWriter({str(tmp_path)!r})
writer.add_scalar("x", 1.0, 1)
child = os.fork()
if not child:
    writer.add_scalar("x", 2.0, 2)
    writer.flush()
    writer.close()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
writer.add_scalar("x", 3.0, 3)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    # And a script that ends without closing it loses nothing.
    assert points(tmp_path, "x")[0] == [1, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_while_others_write_ends(tmp_path):
    """The lock may be held by a thread that does not exist in the child."""
    code = f"""
import os, threading, time, numpy as np, fitwatch
writer = fitwatch.EventFileWriter({str(tmp_path)!r})
def write():
    while True: writer.add_series("x", np.zeros(1024), np.arange(1024))
for _ in range(2): threading.Thread(target=write, daemon=True).start()
deadline = time.monotonic() + 3
while time.monotonic() < deadline:
    child = os.fork()
    if not child:
        writer.add_scalar("y", 1.0, 1)
        writer.add_series("y", np.zeros(10**5), np.arange(10**5))
        writer.flush()
        os._exit(0)
    os.waitpid(child, 0)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_nothing_heavy_is_imported():
    code = """
import sys, fitwatch
fitwatch.EventFileWriter
assert not {"keras", "tensorflow", "jax", "torch", "tensorboard"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_is_gone_is_told_of_once(tmp_path):
    writer = fitwatch.EventFileWriter(tmp_path)
    os.unlink(writer.path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(3):
            writer.add_scalar("x", 1.0, step)
            writer.flush()
        writer.close()
    (warning,) = caught
    assert "No such file" in str(warning.message)
    assert str(tmp_path) in str(warning.message)


def test_warnings_as_errors_end_nothing(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    writer = fitwatch.EventFileWriter(tmp_path)
    os.unlink(writer.path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.add_scalar("x", 1.0, 1)
        writer.flush()
        writer.close()
    assert ["No such file" in str(one.exc_value) for one in told] == [True]
