"""The files of TensorBoard: live, after an exception, on a full disk, without TensorFlow."""

import copy
import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import keras
import pytest
from event_reader import read, runs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fitwatch.callbacks import TensorBoard


@pytest.mark.parametrize("installed", [True, False])
def test_tensorflow_is_not_imported(tmp_path, installed):
    """Keras's class imports it on every backend."""
    if keras.config.backend() == "tensorflow":
        pytest.skip("the backend itself is TensorFlow")
    code = f"""
import sys
if not {installed}:
    sys.modules["tensorflow"] = None  # importing it is an error from here on
import keras, numpy as np
from fitwatch.callbacks import TensorBoard
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
board = TensorBoard(
    {str(tmp_path)!r}, histogram_freq=1, write_images=True,
    update_freq="batch", write_steps_per_second=True,
)
hooks = keras.callbacks.CallbackList([board], model=model, epochs=2)
hooks.on_train_begin()
for epoch in range(2):
    hooks.on_epoch_begin(epoch)
    hooks.on_train_batch_begin(0)
    hooks.on_train_batch_end(0, {{"loss": 1.0}})
    hooks.on_test_begin()
    hooks.on_test_end({{"loss": 1.0}})
    hooks.on_epoch_end(epoch, {{"loss": 1.0, "val_loss": 1.0}})
hooks.on_train_end()
assert sys.modules.get("tensorflow") is None, "TensorFlow was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    train = read(tmp_path / "train")
    assert [step for step, _ in train["epoch_loss"][2]] == [0, 1]
    assert {"keras", "batch_loss", "batch_steps_per_second", "epoch_steps_per_second"} <= set(train)
    assert {"images", "histograms"} <= {plugin for plugin, _, _ in train.values()}


def test_a_live_file_is_readable_at_every_epoch(make_model, data, tmp_path):
    seen = []

    class Reads(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            wait_for(lambda: len(epochs()) == epoch + 1)
            seen.append(len(epochs()))

    def epochs():
        return read(tmp_path / "train").get("epoch_loss", (None, None, []))[2]

    board = TensorBoard(tmp_path)
    make_model().fit(*data, epochs=3, verbose=0, callbacks=[board, Reads()])
    assert seen == [1, 2, 3]


def test_the_file_is_complete_after_an_exception(make_model, data, tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[TensorBoard(tmp_path), Fails()])
    # Keras does not report the exception; the thread continues.
    wait_for(lambda: len(read(tmp_path / "train").get("epoch_loss", ((), (), ()))[2]) == 2)
    assert [step for step, _ in read(tmp_path / "train")["epoch_loss"][2]] == [0, 1]


def test_a_live_reader_sees_every_histogram(make_model, data, tmp_path):
    events = EventAccumulator(str(tmp_path / "train"))
    seen = []

    class Polls(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            board._fitwatch.files.flush()
            events.Reload()
            (tag,) = (t for t in events.Tags()["tensors"] if t.endswith("kernel/histogram"))
            seen.append((len(events.Tensors(tag)), len(events.Tensors("epoch_loss"))))

    board = TensorBoard(tmp_path, histogram_freq=1, update_freq="batch")
    make_model().fit(*data, epochs=3, verbose=0, callbacks=[board, Polls()])
    assert seen == [(1, 1), (2, 2), (3, 3)]


class Interrupts(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
def test_a_fit_after_an_interrupted_fit_starts_with_new_files(
    make_model, data, tmp_path, update_freq
):
    import shutil

    board = TensorBoard(tmp_path / "logs", update_freq=update_freq)
    model = make_model(run_eagerly=True)  # compiled code may swallow the interrupt
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=[board, Interrupts()])
    shutil.rmtree(tmp_path / "logs")
    board.log_dir = str(tmp_path / "other")
    for fitted in (model, make_model()):
        fitted.fit(*data, epochs=3, verbose=0, callbacks=[board], validation_data=data)
    ours = runs(tmp_path / "other")
    assert [step for step, _ in ours["train"]["epoch_loss"][2]] == [0, 1, 2, 0, 1, 2]
    assert len(ours["train"]["keras"][2]) == 2
    assert not (tmp_path / "logs").exists()


def test_the_file_holds_every_batch_of_a_process_that_dies_of_an_exception(tmp_path):
    code = f"""
import keras, numpy as np
from fitwatch.callbacks import Callback, TensorBoard
class Fails(Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 5: raise RuntimeError("boom")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
board = TensorBoard({str(tmp_path)!r}, update_freq="batch")
model.fit(np.ones((80, 4)), np.ones((80, 1)), batch_size=8, verbose=0, callbacks=[board, Fails()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "boom" in done.stderr
    steps = [step for step, _ in read(tmp_path / "train")["batch_loss"][2]]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_live_reader_sees_summaries_of_the_user_and_ours(make_model, data, tmp_path):
    """TensorBoard follows one file per folder, so there must not be two that grow."""
    import tensorflow as tf

    events = EventAccumulator(str(tmp_path / "train"))
    seen = []

    class Writes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)

    class Polls(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            board._fitwatch.files.flush()
            events.Reload()
            seen.append([len(events.Tensors(tag)) for tag in ("mine", "batch_loss", "epoch_loss")])

    board = TensorBoard(tmp_path, update_freq="batch")
    make_model().fit(*data, epochs=3, verbose=0, callbacks=[board, Writes(), Polls()])
    assert seen == [[2, 2, 1], [4, 4, 2], [6, 6, 3]]
    (path,) = (tmp_path / "train").iterdir()
    assert "fitwatch" in path.name


def test_summaries_of_the_user_come_while_the_epoch_goes_on(make_model, data, tmp_path):
    import tensorflow as tf

    seen = []

    class Writes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)
            if batch:
                wait_for(lambda: "mine" in read(tmp_path / "train"))
                seen.append(len(read(tmp_path / "train")["mine"][2]))
            time.sleep(0.06)

    board = TensorBoard(tmp_path, update_freq="batch")
    make_model().fit(*data, batch_size=10, verbose=0, callbacks=[board, Writes()])
    assert len(seen) == 5
    assert len(read(tmp_path / "train")["mine"][2]) == 6


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_summaries_of_a_subclass_land_in_the_same_file(make_model, data, tmp_path):
    """A pattern that many tutorials show."""
    import tensorflow as tf

    class Mine(TensorBoard):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            with self._train_writer.as_default():
                tf.summary.text("note", f"epoch {epoch}", step=epoch)

    make_model().fit(*data, epochs=2, verbose=0, callbacks=[Mine(tmp_path)])
    assert [step for step, _ in read(tmp_path / "train")["note"][2]] == [0, 1]
    assert len(list((tmp_path / "train").iterdir())) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_does_not_end_the_fit(make_model, data, tmp_path):
    board = TensorBoard(tmp_path, update_freq="batch")

    class FillsTheDisk(keras.callbacks.Callback):
        """Puts a file that is always full in the place of the open one."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                board._fitwatch.files.flush()
                path = board._fitwatch.files.open("train").path
                for descriptor in Path("/proc/self/fd").iterdir():
                    if os.path.realpath(descriptor) == str(path.resolve()):
                        full = os.open("/dev/full", os.O_WRONLY)
                        os.dup2(full, int(descriptor.name))
                        os.close(full)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        history = make_model().fit(
            *data, epochs=4, verbose=0, callbacks=[FillsTheDisk(), board], validation_data=data
        )
    assert len(history.epoch) == 4
    messages = [str(w.message) for w in caught if "cannot be written" in str(w.message)]
    assert len(messages) == 1
    assert "No space left" in messages[0]
    assert str(tmp_path) in messages[0]
    assert len(read(tmp_path / "validation")["epoch_loss"][2]) == 4
    assert len(read(tmp_path / "train")["epoch_loss"][2]) == 1


def test_a_folder_that_cannot_be_made_is_known_before_training(make_model, data, tmp_path):
    (tmp_path / "file").write_text("")
    board = TensorBoard(tmp_path / "file" / "logs")
    with pytest.raises(OSError, match="file"):
        make_model().fit(*data, verbose=0, callbacks=[board])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda board: pickle.loads(pickle.dumps(board))]
)
def test_copies_open_files_of_their_own(copied, tmp_path):
    board = TensorBoard(tmp_path, write_graph=False)
    board.set_model(keras.Sequential())
    board.on_train_begin()
    board._model = None
    twin = copied(board)
    assert twin.log_dir == board.log_dir
    twin.set_model(keras.Sequential())
    twin.on_train_begin()
    assert twin._fitwatch.files.open("train").path != board._fitwatch.files.open("train").path
