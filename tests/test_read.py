"""`fitwatch.read` on event files of several writers, beside TensorBoard's own readers."""

import shutil
import struct
import warnings

import event_writers
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitwatch
from fitwatch import _core

once = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="once is enough")

STEPS = st.integers(0, 12)
VALUES = st.floats(width=32, allow_nan=False)
POINTS = st.lists(st.tuples(st.sampled_from("ab"), STEPS, VALUES), min_size=1, max_size=12)
FILES = st.lists(st.tuples(st.sampled_from(event_writers.WRITERS), POINTS), min_size=1, max_size=3)
SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(path, **options):
    """`{run: {tag: [(step, value), ...]}}`; no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = fitwatch.read(path, **options)
    return {name: of(run) for name, run in runs.items()}


def of(run):
    return {
        tag: list(zip(one.steps.tolist(), np.float32(one.values), strict=True))
        for tag, one in run.scalars.items()
    }


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for tag in ours:
        assert [step for step, _ in ours[tag]] == [step for step, _ in theirs[tag]]
        np.testing.assert_array_equal(
            [value for _, value in ours[tag]], [value for _, value in theirs[tag]]
        )


def write(folder, files):
    """Writes the files of a run, in the byte order of their names."""
    paths = []
    for number, (writer, points) in enumerate(files):
        path = event_writers.write(writer, folder / "new", points)
        paths.append(path.rename(folder / f"{number}.{path.name}"))
    return paths


@once
@SLOW
@given(files=FILES)
def test_what_is_dropped_agrees_with_the_data_server(tmp_path, files):
    folder = tmp_path / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    write(folder / "run", files)
    ours, theirs = read(folder), event_writers.data_server(folder)
    assert ours.keys() == theirs.keys() == {"run"}
    same(ours["run"], theirs["run"])


@once
@SLOW
@given(file=st.tuples(st.sampled_from(event_writers.WRITERS), POINTS), damage=st.data())
def test_what_is_kept_agrees_with_the_accumulator(tmp_path, file, damage):
    folder = tmp_path / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    (path,) = write(folder, [file])
    same(read(path, keep_superseded=True)["."], event_writers.accumulator(path))
    # The first record names the format; every other one is a point.
    found = event_writers.records(path)[-len(file[1]) :]
    at = damage.draw(st.integers(0, len(found) - 1))
    content = bytearray(path.read_bytes())
    start, length = found[at]
    content[start + damage.draw(st.integers(0, length - 1))] ^= 1 << damage.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=f"offset {start - 12} is damaged and left out"):
        ours = of(fitwatch.read(path, keep_superseded=True)["."])
    expected = {}
    for number, (tag, step, value) in enumerate(file[1]):
        if number != at:
            expected.setdefault(tag, []).append((step, np.float32(value)))
    same(ours, expected)
    theirs = event_writers.accumulator(path)
    same({tag: ours[tag][: len(points)] for tag, points in theirs.items()}, theirs)


@once
@SLOW
@given(file=st.tuples(st.sampled_from(event_writers.WRITERS), POINTS), cut=st.data())
def test_a_file_that_grows_by_any_number_of_bytes(tmp_path, file, cut):
    folder = tmp_path / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    (path,) = write(folder, [file])
    content = path.read_bytes()
    ends = sorted(cut.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    path.write_bytes(b"")
    runs = fitwatch.read(path)
    for end in [*ends, len(content)]:
        # Not truncated: another content of the same file.
        with open(path, "r+b") as growing:
            growing.write(content[:end])
        runs.refresh()
    assert not runs.refresh()
    assert of(runs["."]) == of(fitwatch.read(path)["."])


def encoded(tag, tensor):
    """An event file with one scalar tensor at step 7."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.record_writer import RecordWriter

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    value = Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    event = Event(wall_time=5.0, step=7, summary=Summary(value=[value]))

    class File:
        content = b""

        def write(self, more):
            self.content += more

    file = File()
    RecordWriter(file).write(event.SerializeToString())
    return file.content


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        *[(name, "float32") for name in ("float16", "float32", "int8", "uint8", "int16", "uint16")],
        *[(name, "float64") for name in ("float64", "int32", "uint32", "int64", "uint64")],
        ("bool", "float32"),
    ],
)
def test_tensors_of_every_type(tmp_path, dtype, kept, shape, as_content):
    from tensorboard.util import tensor_util

    array = np.full(shape, 1 if dtype == "bool" else 3, dtype=dtype)
    tensor = tensor_util.make_tensor_proto(array, dtype)
    if as_content:
        dim = list(tensor.tensor_shape.dim)
        kind = tensor.dtype
        tensor = type(tensor)(dtype=kind, tensor_content=array.tobytes())
        tensor.tensor_shape.dim.extend(dim)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(encoded("a", tensor))
    found = fitwatch.read(path)["."].scalars["a"]
    assert (found.values.tolist(), found.values.dtype) == ([float(array.max())], kept)
    assert (found.steps.tolist(), found.wall_times.tolist()) == ([7], [5.0])


def test_a_restart_in_a_new_file_supersedes_and_can_be_kept(tmp_path):
    write(tmp_path, [("fitwatch", [("a", s, s) for s in range(5)]), ("fitwatch", [("a", 3, 0.5)])])
    runs = fitwatch.read(tmp_path)
    assert runs["."].scalars["a"].steps.tolist() == [0, 1, 2, 3]
    assert runs["."].scalars["a"].segments == (slice(0, 4),)
    kept = fitwatch.read(tmp_path, keep_superseded=True)["."].scalars["a"]
    assert kept.steps.tolist() == [0, 1, 2, 3, 4, 3]
    assert kept.segments == (slice(0, 5), slice(5, 6))
    assert kept.values[kept.segments[1]].tolist() == [0.5]


def test_a_restart_while_it_is_watched(tmp_path):
    write(tmp_path, [("fitwatch", [("a", step, 1.0) for step in range(100)])])
    runs = fitwatch.read(tmp_path)
    before = runs["."].scalars["a"]
    write(tmp_path / "again", [("fitwatch", [("a", 50, 2.0)])])
    (file,) = (tmp_path / "again").glob("*tfevents*")
    file.rename(tmp_path / f"9.{file.name}")
    assert runs.refresh()
    after = runs["."].scalars["a"]
    assert after.steps.tolist() == [*range(51)]
    assert after.values[-1] == 2.0
    # Arrays that were handed out do not change.
    assert len(before) == 100
    assert before.values.tolist() == [1.0] * 100
    assert not runs.refresh()


def test_damage_of_a_length_ends_the_file_with_a_warning(tmp_path):
    (path,) = write(tmp_path, [("fitwatch", [("a", step, 1.0) for step in range(10)])])
    start, _ = event_writers.records(path)[-6]
    content = bytearray(path.read_bytes())
    content[start - 12] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=f"record at offset {start - 12} is damaged; what follows"):
        runs = fitwatch.read(tmp_path)
    assert runs["."].scalars["a"].steps.tolist() == [0, 1, 2, 3]
    with open(path, "ab") as file:
        file.write(content)
    assert not runs.refresh()


def test_many_damaged_records_are_one_warning(tmp_path):
    (path,) = write(tmp_path, [("fitwatch", [("a", step, 1.0) for step in range(10)])])
    content = bytearray(path.read_bytes())
    for start, _ in event_writers.records(path)[3:8:2]:
        content[start + 5] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="and 2 more behind it") as found:
        runs = fitwatch.read(tmp_path)
    assert len(found) == 1
    assert len(runs["."].scalars["a"]) == 7


def test_runs_as_tensorboard_names_them(tmp_path):
    for name in ("", "a", "a/b"):
        write(tmp_path / name, [("fitwatch", [("x", 0, 1.0)])])
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.csv").write_text("name,age\nx,1\n")
    (tmp_path / "other.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "log.csv").write_text("epoch,loss\r\n0,0.5\r\n")
    assert list(fitwatch.read(tmp_path)) == [".", "a", "a/b", "log"]
    (tmp_path / "a.csv").write_text("epoch,loss\r\n0,0.5\r\n")
    assert "a.csv" in fitwatch.read(tmp_path)


def test_links_are_followed_once(tmp_path):
    write(tmp_path / "logs" / "a", [("fitwatch", [("x", 0, 1.0)])])
    write(tmp_path / "elsewhere", [("fitwatch", [("x", 0, 1.0)])])
    (tmp_path / "logs" / "there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs" / "a" / "back").symlink_to(tmp_path / "logs")
    assert list(fitwatch.read(tmp_path / "logs")) == ["a", "there"]


def test_a_file_that_is_replaced_is_read_again(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\r\n0,0.5\r\n1,0.4\r\n")
    runs = fitwatch.read(path)
    assert runs["log"].scalars["loss"].values.tolist() == [0.5, 0.4]
    with open(path, "a") as file:
        file.write("2,0.3\r\n3,0.")
    assert runs.refresh()
    assert runs["log"].scalars["loss"].values.tolist() == [0.5, 0.4, 0.3]
    path.write_text("epoch,acc\r\n0,0.9\r\n")
    assert runs.refresh()
    assert list(runs["log"].scalars) == ["acc"]


def test_a_run_that_is_removed(tmp_path):
    for name in "ab":
        write(tmp_path / name, [("fitwatch", [("x", 0, 1.0)])])
    runs = fitwatch.read(tmp_path)
    shutil.rmtree(tmp_path / "a")
    assert runs.refresh()
    assert list(runs) == ["b"]
    with pytest.raises(KeyError, match="a"):
        runs["a"]
    with pytest.raises(KeyError, match="no tag"):
        runs["b"].scalars["no tag"]


def test_hparams_and_texts(tmp_path):
    from tensorboard.plugins.hparams import summary_v2 as hp
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("notes", "the first", 1)
        writer.add_text("notes", "the second", 2)
        pb = hp.hparams_pb({"lr": 0.0, "units": 32, "name": "ünits", "on": True, "off": False})
        from tensorboardX.proto.summary_pb2 import Summary

        writer._get_file_writer().add_summary(Summary.FromString(pb.SerializeToString()), 0)
    run = fitwatch.read(tmp_path)["."]
    assert run.hparams == {"lr": 0.0, "units": 32.0, "name": "ünits", "on": True, "off": False}
    (texts,) = run.text.values()
    assert [(text.step, text.lines) for text in texts] == [
        (1, ("the first",)),
        (2, ("the second",)),
    ]


def test_loss_history(tmp_path):
    history = fitwatch.callbacks.LossHistory(columns=["acc"])
    history.on_train_begin()
    history.on_epoch_begin(0)
    for batch in range(3):
        history.on_train_batch_end(batch, {"loss": batch / 4, "acc": batch / 2})
    history.on_epoch_end(0, {"loss": 0.5, "acc": 0.5, "val_loss": 0.75})
    history.save(tmp_path / "losses.npz")
    assert read(tmp_path)["losses"] == {
        "acc": [(0, 0.0), (1, 0.5), (2, 1.0)],
        "loss": [(0, 0.0), (1, 0.25), (2, 0.5)],
        "val_loss": [(2, 0.75)],
    }
    assert np.isnan(fitwatch.read(tmp_path)["losses"].scalars["loss"].wall_times).all()


def test_a_loss_record_whose_first_batch_is_out_of_range(tmp_path):
    history = fitwatch.callbacks.LossHistory()
    history.on_train_begin()
    for batch in range(3):
        history.on_train_batch_end(batch, {"loss": float(batch)})
    history.on_train_end()
    history.save(tmp_path / "losses.npz")
    with np.load(tmp_path / "losses.npz") as arrays:
        changed = {**arrays, "first": np.array([2**63 - 2])}
    np.savez(tmp_path / "losses.npz", **changed)
    loss = fitwatch.read(tmp_path)["losses"].scalars["loss"]
    assert loss.steps.tolist() == [2**63 - 2, 2**63 - 1]


def test_what_is_wrong_with_a_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fitwatch.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nothing to read here; looked for event files"):
        fitwatch.read(tmp_path)
    with pytest.raises(TypeError, match="path must be a string or a path; got 3"):
        fitwatch.read(3)
    for name in ("other.txt", "other.csv", "other.npz", "x.tfevents.1", "short"):
        (tmp_path / name).write_text("a text" if name == "short" else "a text of some length")
        with pytest.raises(ValueError, match=f"{name}: not a"):
            fitwatch.read(tmp_path / name)


def test_a_file_that_is_truncated_while_it_is_followed(tmp_path):
    (path,) = write(tmp_path, [("fitwatch", [("a", step, 1.0) for step in range(100)])])
    runs = fitwatch.read(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert runs.refresh()
    assert 40 < len(runs["."].scalars["a"]) < 60


def test_step_and_value_bounds(tmp_path):
    points = [("a", step, value) for step, value in [(-(2**63), 0.0), (2**63 - 1, np.nan)]]
    write(tmp_path, [("fitwatch", points)])
    found = fitwatch.read(tmp_path)["."].scalars["a"]
    assert found.steps.tolist() == [-(2**63), 2**63 - 1]
    assert np.isnan(found.values[1])


@pytest.mark.parametrize("time", [np.nan, np.inf, -np.inf])
def test_a_time_that_is_not_finite_is_no_end_of_a_range(tmp_path, time):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary = Summary(value=[Summary.Value(tag="loss", simple_value=1.0)])
    with fitwatch.EventFileWriter(tmp_path) as writer:
        for step, wall_time in enumerate([1000.0, time]):
            event = Event(step=step, wall_time=wall_time, summary=summary)
            writer.add_event(event.SerializeToString())
    (found,) = _core.RunReader(str(tmp_path)).summary(".")
    assert (found["points"], found["first_time"], found["last_time"]) == (2, None, None)


def test_arrays_are_read_only_and_shared(tmp_path):
    write(tmp_path, [("fitwatch", [("a", 0, 1.0)])])
    scalars = fitwatch.read(tmp_path)["."].scalars["a"]
    for array in (scalars.steps, scalars.values, scalars.wall_times):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2
    assert repr(scalars) == "<Scalars: 1 points, steps 0 to 0>"


def test_the_bytes_of_an_envelope(tmp_path):
    """The format that the page receives."""
    from fitwatch import _core

    write(tmp_path, [("fitwatch", [("a", 0, 1.0), ("a", 1, 2.0), ("a", 5, np.inf)])])
    reader = _core.RunReader(tmp_path)
    envelope = reader.envelope(".", "a", "step", 0.0, 9.0, 2, 1.0)
    assert struct.unpack_from("<II", envelope) == (2, 0)
    columns = np.frombuffer(envelope, "<f8", 12, 8).reshape(6, 2)
    x, low, mean, high, smoothed, points = columns.tolist()
    assert (x[1], low[0], mean[0], high[0], smoothed[0]) == (5.0, 1.0, 1.5, 2.0, 1.5)
    assert np.isnan([low[1], mean[1], high[1]]).all()
    assert points == [2.0, 1.0]
    assert envelope[8 + 96 :] == bytes([0, 2, 0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="axis must be 'step' or 'wall'; got 'x'"):
        reader.envelope(".", "a", "x", 0.0, 9.0, 2)
