"""What TensorBoard writes, read back with its own readers, beside stock Keras."""

import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from event_reader import read, runs
from keras_versions import since_3_15
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fitwatch.callbacks import TensorBoard


def fit_twice(make_model, data, log_dir, tensorboard, **options):
    model = make_model(**options)
    model.fit(*data, batch_size=10, shuffle=False, verbose=0, epochs=3, callbacks=[tensorboard])
    validation = {"validation_data": data, "initial_epoch": 3, "epochs": 5}
    model.fit(*data, batch_size=9, shuffle=False, verbose=0, callbacks=[tensorboard], **validation)
    model.evaluate(*data, verbose=0, callbacks=[tensorboard])


def unordered(run):
    """Readers take TensorFlow's files by name: of one second the tenth before the ninth."""
    return {
        (folder, tag): (plugin, content, sorted(points, key=str))
        for folder, tags in run.items()
        for tag, (plugin, content, points) in tags.items()
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"update_freq": "batch"},
        {"update_freq": "batch", "write_steps_per_second": True},
        {"write_graph": False, "write_steps_per_second": True},
    ],
    ids=str,
)
def test_tags_steps_and_values_are_those_of_keras(make_model, data, tmp_path, arguments):
    for name, cls in (("ours", TensorBoard), ("theirs", keras.callbacks.TensorBoard)):
        fit_twice(make_model, data, tmp_path, cls(tmp_path / name, **arguments))
    ours, theirs = runs(tmp_path / "ours"), runs(tmp_path / "theirs")
    if arguments.get("write_graph", True):
        events = EventAccumulator(str(tmp_path / "ours" / "train"))
        events.Reload()
        assert [node.op for node in events.Graph().node] == ["InputLayer", "Dense"]
        # The layer names count up from one model to the next.
        for run in (ours, theirs):
            plugin, content, points = run["train"].pop("keras")
            assert (plugin, content) == ("graph_keras_model", b"1")
            assert len(points) == 3  # set_model() runs for each fit and for evaluate()
            assert b'"class_name": "Sequential"' in points[0][1][0]
    assert unordered(ours) == unordered(theirs)
    assert set(ours) == {"train", "validation"}
    assert len(ours["train"]["epoch_loss"][2]) == 5


@since_3_15
def test_an_integer_update_freq_loses_no_epoch(make_model, data, tmp_path):
    """Keras drops the values of an epoch that ends between two batches that are written."""
    for name, cls in (("ours", TensorBoard), ("theirs", keras.callbacks.TensorBoard)):
        board = cls(tmp_path / name, update_freq=4, write_steps_per_second=True, write_graph=False)
        fit_twice(make_model, data, tmp_path, board)
    ours, theirs = runs(tmp_path / "ours"), runs(tmp_path / "theirs")
    for run, tags in ours.items():
        for tag, (plugin, content, points) in tags.items():
            expected = theirs[run].get(tag, (plugin, content, []))
            if tag.startswith("batch_"):
                assert (plugin, content, points) == expected
            else:
                assert set(map(str, points)) >= set(map(str, expected[2]))
    assert [step for step, _ in ours["train"]["epoch_loss"][2]] == [0, 1, 2, 3, 4]
    assert [step for step, _ in theirs["train"]["epoch_loss"][2]] != [0, 1, 2, 3, 4]
    assert [step for step, _ in ours["train"]["batch_loss"][2]] == [4, 8, 12, 16, 4, 8, 12]


def test_schedules_and_several_optimizers(make_model, data, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 100)
    for name, cls in (("ours", TensorBoard), ("theirs", keras.callbacks.TensorBoard)):
        board = cls(tmp_path / name, write_graph=False)
        optimizer = keras.optimizers.SGD(schedule)
        fit_twice(make_model, data, tmp_path, board, optimizer=optimizer)
    ours, theirs = runs(tmp_path / "ours"), runs(tmp_path / "theirs")
    assert ours == theirs
    rates = [value for _, (value,) in ours["train"]["epoch_learning_rate"][2]]
    assert len(set(rates)) > 2


def test_a_scalar_event_has_the_bytes_that_tensorflow_writes(tmp_path):
    import tensorflow as tf
    from tensorboard.compat.proto.event_pb2 import Event

    board = TensorBoard(tmp_path / "ours", write_graph=False)
    board.set_model(keras.Sequential())
    board.on_train_begin()
    writer = tf.summary.create_file_writer(str(tmp_path / "theirs"))
    written = [("loss", 0.25, 3), ("потеря/шаг", -1e-40, 2**40), ("x" * 300, math.inf, 0)]
    for tag, value, step in written:
        board._fitwatch.files.add_scalar("train", tag, value, step)
        with writer.as_default():
            tf.summary.scalar(tag, value, step)
    writer.close()
    board.on_train_end()
    payloads = []
    for folder in (tmp_path / "ours" / "train", tmp_path / "theirs"):
        (path,) = folder.iterdir()
        events = [Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
        for event in events:
            event.wall_time = 0
        payloads.append([event.SerializeToString() for event in events[1:]])
        assert events[0].file_version == "brain.Event:2"
    assert payloads[0] == payloads[1]
    assert len(payloads[0]) == 3


def test_the_rust_data_server_of_tensorboard_reads_it(make_model, data, tmp_path):
    """The second reader there is; it checks every CRC."""
    data_server = pytest.importorskip("tensorboard_data_server")
    binary = data_server.server_binary()
    if binary is None:
        pytest.skip("no data server for this platform")
    board = TensorBoard(tmp_path / "logs", update_freq="batch")
    make_model().fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=[board])

    import grpc
    from tensorboard.data.proto import data_provider_pb2 as messages
    from tensorboard.data.proto import data_provider_pb2_grpc as services

    port_file = tmp_path / "port"
    flags = ["--logdir", tmp_path / "logs", "--reload", "once", "--port", "0", "--die-after-stdin"]
    with subprocess.Popen(
        [binary, *map(str, flags), "--port-file", str(port_file)], stdin=subprocess.PIPE
    ) as server:
        try:
            for _ in range(200):
                if port_file.exists() and port_file.read_text().strip():
                    break
                _wait(0.05)
            address = f"localhost:{port_file.read_text().strip()}"
            stub = services.TensorBoardDataProviderStub(grpc.insecure_channel(address))
            request = messages.ReadScalarsRequest(experiment_id="")
            request.plugin_filter.plugin_name = "scalars"
            request.downsample.num_points = 1000
            for _ in range(200):
                response = stub.ReadScalars(request, wait_for_ready=True, timeout=20)
                found = {run.run_name: run for run in response.runs}
                if set(found) == {"train", "validation"}:
                    break
                _wait(0.05)
        finally:
            server.terminate()
    tags = {tag.tag_name: list(tag.data.step) for tag in found["train"].tags}
    assert tags["batch_loss"] == [1, 2, 3, 4]
    assert tags["epoch_loss"] == [0, 1]
    assert len(found["validation"].tags) == 4


def _wait(seconds):
    import time

    time.sleep(seconds)


def test_a_graph_without_the_tensorboard_package(make_model, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.summary_pb2", None)
    with pytest.warns(UserWarning, match=r"pip install fitwatch\[tensorboard\]"):
        make_model().fit(*data, verbose=0, callbacks=[TensorBoard(tmp_path)])
    assert "epoch_loss" in read(tmp_path / "train")


def decoded(value):
    """Pixels of an image, bins of a histogram."""
    import tensorflow as tf

    if not isinstance(value[0], bytes):
        return value
    return [*value[:2], *(tf.io.decode_png(png).numpy().tolist() for png in value[2:])]


@since_3_15
def test_histograms_and_images_are_those_of_keras(data, tmp_path):
    for name, cls in (("ours", TensorBoard), ("theirs", keras.callbacks.TensorBoard)):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Reshape((2, 2, 1)), keras.layers.Conv2D(5, 2, name="conv")]
        layers += [keras.layers.Flatten(), keras.layers.Dense(3, name="dense")]
        model = keras.Sequential([keras.Input((4,)), *layers], name="net")
        model.compile("sgd", "mse")
        board = cls(tmp_path / name, histogram_freq=2, write_images=True, write_graph=False)
        x, y = data
        model.fit(x, np.stack([y] * 3, 1), epochs=3, shuffle=False, verbose=0, callbacks=[board])
    events = []
    for name in ("ours", "theirs"):
        accumulator = EventAccumulator(str(tmp_path / name / "train"), size_guidance={"tensors": 0})
        accumulator.Reload()
        found = {}
        for tag in accumulator.Tags()["tensors"]:
            plugin = accumulator.SummaryMetadata(tag).plugin_data
            if plugin.plugin_name == "scalars":
                continue
            for event in accumulator.Tensors(tag):
                proto = event.tensor_proto
                shape = [dim.size for dim in proto.tensor_shape.dim]
                strings = list(proto.string_val)
                value = decoded(strings) if strings else np.frombuffer(proto.tensor_content)
                found[tag, event.step] = (plugin.plugin_name, plugin.content, shape, value)
        events.append(found)
    ours, theirs = events
    assert ours.keys() == theirs.keys()
    assert {step for _, step in ours} == {0, 2}
    assert len(ours) == 2 * (4 + 4)
    for key, (*format_, value) in ours.items():
        *their_format, their_value = theirs[key]
        assert format_ == their_format
        if format_[0] == "histograms":
            np.testing.assert_allclose(value, their_value, rtol=1e-6)
        else:
            assert value == their_value


def test_a_nested_evaluation_of_another_model_leaves_the_files_open(make_model, data, tmp_path):
    import tensorflow as tf

    board = TensorBoard(tmp_path, update_freq="batch")
    other = make_model()

    class Evaluates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)
            if batch == 1:
                other.evaluate(*data, verbose=0, callbacks=[board])

    make_model().fit(*data, batch_size=20, epochs=2, verbose=0, callbacks=[board, Evaluates()])
    train = read(tmp_path / "train")
    assert [step for step, _ in train["mine"][2]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in train["batch_loss"][2]] == [1, 2, 3, 4, 5, 6]
    assert len(read(tmp_path / "validation")["evaluation_loss_vs_iterations"][2]) == 2
    assert len(list((tmp_path / "train").iterdir())) == 1
    assert tf.summary.experimental.get_step() is None


def test_embeddings_of_a_model_without_a_graph(tmp_path, data):
    class Embeds(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = keras.layers.Embedding(5, 2)

        def call(self, x):
            return self.embedding(keras.ops.cast(x, "int32") % 5)

    model = Embeds()
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path / "logs", embeddings_freq=1)
    model.fit(data[0], np.zeros((60, 4, 2)), verbose=0, callbacks=[board])
    assert (tmp_path / "logs" / "projector_config.pbtxt").exists()


def test_logs_that_are_no_dict_are_ignored(tmp_path):
    board = TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    board.set_model(keras.Sequential())
    board.on_train_begin()
    board.on_train_batch_begin(0)
    board.on_train_batch_end(0, 0.5)
    board.on_train_end()
    assert "batch_loss" not in read(tmp_path / "train")


@since_3_15
def test_user_summaries_land_in_the_same_run(make_model, data, tmp_path):
    import tensorflow as tf

    class Writes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)

        def on_test_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)

    for name, cls in (("ours", TensorBoard), ("theirs", keras.callbacks.TensorBoard)):
        board = cls(tmp_path / name, update_freq=2, write_graph=False)
        callbacks = [board, Writes()]
        make_model().fit(
            *data, batch_size=10, epochs=2, shuffle=False, verbose=0,
            validation_data=data, callbacks=callbacks,
        )  # fmt: skip
        assert tf.summary.experimental.get_step() is None
    assert runs(tmp_path / "ours") == runs(tmp_path / "theirs")
    steps = [step for step, _ in read(tmp_path / "ours" / "train")["mine"][2]]
    assert steps == [2, 4, 6, 8, 10, 12]


def test_two_of_them_in_one_fit(make_model, data, tmp_path):
    """Two of Keras's crash at the end of the fit."""
    import tensorflow as tf

    boards = [TensorBoard(tmp_path / name, update_freq="batch") for name in "ab"]
    make_model().fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=boards)
    assert tf.summary.experimental.get_step() is None
    for name in "ab":
        assert [step for step, _ in read(tmp_path / name / "train")["batch_loss"][2]] == [
            1,
            2,
            3,
            4,
        ]


def test_a_value_that_is_no_scalar_is_left_out(make_model, data, tmp_path):
    """Keras ends the fit."""
    adds = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(confusion=np.ones((2, 2)), note="hello")
    )
    with pytest.warns(UserWarning, match="is left out: it is not a scalar") as caught:
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[adds, TensorBoard(tmp_path)])
    left_out = [str(w.message).split("'")[1] for w in caught if "left out" in str(w.message)]
    assert left_out == ["epoch_confusion", "epoch_note"]
    assert len(read(tmp_path / "train")["epoch_loss"][2]) == 3
