"""Rows of the table in docs/moving.md that are about event files and logs: beside Keras."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import pytest
from event_reader import read
from scalars import backend_scalar
from test_tensorboard_snapshots import embedding_model, projector

from fitwatch import callbacks

STOCK = keras.callbacks
MODULES = {"keras": STOCK, "fitwatch": callbacks}


@pytest.fixture(scope="module")
def model():
    """One for all: nothing is trained."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def begun(board, model):
    board.set_params({"epochs": 9, "steps": 6, "verbose": 0})
    board.set_model(model)
    board.on_train_begin()
    return board


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_event_file_on_a_full_disk(model, tmp_path):
    pytest.importorskip("tensorflow")

    def fill(folder):
        for descriptor in Path("/proc/self/fd").iterdir():
            if os.path.realpath(descriptor).startswith(str(folder)):
                full = os.open("/dev/full", os.O_WRONLY)
                os.dup2(full, int(descriptor.name))
                os.close(full)

    def run(module):
        folder = tmp_path / module.__name__
        board = begun(module.TensorBoard(folder, write_graph=False), model)
        board.on_epoch_end(0, {"loss": 0.5})
        fill(folder)
        for epoch in range(1, 20):
            board.on_epoch_end(epoch, {"loss": 0.5})
        board.on_train_end()

    # It leaves its writer behind as the default one, which TensorFlow has in each thread.
    with ThreadPoolExecutor(1) as thread, pytest.raises(Exception, match="No space left"):
        thread.submit(run, STOCK).result()
    with pytest.warns(UserWarning, match="cannot be written") as warned:
        run(callbacks)
    assert len([w for w in warned if issubclass(w.category, UserWarning)]) == 1


def test_a_default_writer_of_the_user_s(model, tmp_path):
    """Stock Keras leaves it in force for what it writes of batches, with update_freq="epoch"."""
    tf = pytest.importorskip("tensorflow")
    for name, module in MODULES.items():
        for update_freq in ("epoch", 2):
            folder = tmp_path / f"{name} {update_freq}"
            writer = tf.summary.create_file_writer(str(folder / "user's"))
            with writer.as_default(step=77):
                board = module.TensorBoard(folder, write_graph=False, update_freq=update_freq)
                begun(board, model)
                for batch in range(3):
                    board.on_train_batch_begin(batch)
                    tf.summary.scalar("own", 1.0, step=batch)
                    board.on_train_batch_end(batch, {"loss": 0.5})
                board.on_epoch_end(0, {"loss": 0.5})
                board.on_train_end()
                tf.summary.scalar("own", 1.0)
            writer.close()
            found = {tag: [step for step, _ in s[2]] for tag, s in read(folder / "user's").items()}
            steps = [1, 2, 3] if (module, update_freq) == (STOCK, "epoch") else []
            assert found.pop("batch_loss", []) == steps
            assert found == {"own": [0, 1, 2, 77] if update_freq == "epoch" else [77]}
            if update_freq == 2:  # recorded in every second batch: the step is the one given
                assert [step for step, _ in read(folder / "train")["own"][2]] == [1]


def test_embeddings_and_their_labels(tmp_path):
    pytest.importorskip("tensorflow")
    (tmp_path / "labels.tsv").write_text("a\nb\nc\nd\ne\n")
    for module, left in ((STOCK, {}), (callbacks, {"words": "labels.tsv"})):
        metadata = {"words": "labels.tsv"}
        board = module.TensorBoard(
            tmp_path / module.__name__, embeddings_freq=1, embeddings_metadata=metadata
        )
        begun(board, embedding_model())
        assert metadata == left
        board.on_epoch_end(0, {"loss": 0.5})
        board.on_train_end()
        shown = projector(tmp_path / module.__name__)["/runs"].get("/").json
        assert shown == ([] if module is STOCK else ["train"])


def test_the_graph_of_a_model(model, tmp_path):
    pytest.importorskip("tensorflow")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.graph import keras_util

    inputs = keras.Input((4,))
    operations = keras.Model(inputs, keras.ops.multiply(keras.layers.Dense(4)(inputs), 2.0))
    operations.compile("sgd", "mse")
    for one in (model, operations):
        for name, module in MODULES.items():
            folder = tmp_path / f"{name} {one.name}"
            begun(module.TensorBoard(folder), one).on_train_end()
            found = EventAccumulator(str(folder / "train"))
            found.Reload()
            # What the page shows at once; what "Conceptual graph" shows is in both.
            assert found.Tags()["graph"] == (module is callbacks)
            assert found.Tags()["tensors"] == ["keras"]
    with pytest.raises(AttributeError):  # TensorBoard's error for "Conceptual graph"
        keras_util.keras_model_to_graph_def(json.loads(operations.to_json()))


def test_two_that_write_batches(model, tmp_path):
    pytest.importorskip("tensorflow")
    errors = []

    def run(module):
        boards = [
            module.TensorBoard(tmp_path / f"{module.__name__} {name}", update_freq=1)
            for name in "ab"
        ]
        try:
            for board in boards:
                begun(board, model)
            for batch in range(2):
                for board in boards:
                    board.on_train_batch_begin(batch)
                for board in boards:
                    board.on_train_batch_end(batch, {"loss": 0.5})
            for board in boards:
                board.on_train_end()
        except AttributeError as error:
            errors.append((module, str(error)))

    # TensorFlow has its default writer in each thread.
    for module in MODULES.values():
        with ThreadPoolExecutor(1) as thread:
            thread.submit(run, module).result()
    assert [module for module, _ in errors] == [STOCK]


def test_keras_s_needs_tensorflow(tmp_path):
    """On every backend. That ours does not import it is tested in test_tensorboard_files.py."""
    pytest.importorskip("tensorflow")
    board = STOCK.TensorBoard(tmp_path, write_graph=False)
    assert board.summary.__name__.startswith("tensorflow.")


def test_logs_that_code_below_python_reads_first():
    """As orjson and pyarrow do: it finds the backend's values."""
    seen = []

    class Reads(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ((_, first),) = dict.items(logs)
            ((_, converted),) = dict.items(dict(logs))
            seen.extend([type(first), type(converted)])

    # Keras converts all logs before it calls the list.
    STOCK.CallbackList([Reads()]).on_train_batch_end(0, {"loss": 0.5})
    assert seen == [float, float]
    value = backend_scalar(0.5)
    seen.clear()
    callbacks.CallbackList([Reads()]).on_train_batch_end(0, {"loss": value})
    assert seen == [type(value) if keras.config.backend() != "torch" else float, float]
