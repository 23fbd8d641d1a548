"""`tf.summary` calls in a user's code, with fitwatch's TensorBoard: all in one file."""

import operator
import subprocess
import sys
import tempfile
import threading
import time
from unittest import mock

import keras
import numpy as np
import pytest
from event_reader import read, steps

from fitwatch.callbacks import TensorBoard

tf = pytest.importorskip("tensorflow")
BACKEND = keras.config.backend()


class Writes(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        tf.summary.scalar("mine", batch)


def board(folder, cls=TensorBoard):
    return cls(folder, update_freq="batch", write_graph=False)


def test_fits_in_two_threads(make_model, data, tmp_path):
    """TensorFlow's default writer and step are those of a thread."""
    after, errors = [], []

    class Waits(Writes):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.01)
            super().on_train_batch_end(batch, logs)

    def fit(name):
        try:
            own = tf.summary.create_file_writer(str(tmp_path / f"own {name}"))
            with own.as_default(step=77):
                for run in "ab":
                    callbacks = [board(tmp_path / name / run), Waits()]
                    models[name].fit(*data, verbose=0, callbacks=callbacks)
                after.append(tf.summary.experimental.get_step())
                tf.summary.scalar("after", 1.0)
            own.close()
        except BaseException as error:
            errors.append(error)

    models = {name: make_model() for name in "xy"}
    threads = [threading.Thread(target=fit, args=(name,)) for name in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert after == [77, 77]
    for name in models:
        assert steps(tmp_path / f"own {name}", "after") == [77]
        for run in "ab":
            assert steps(tmp_path / name / run / "train", "mine") == [1, 2]


def test_several_in_one_batch_come_at_once(make_model, data, tmp_path):
    seen = []

    class Late(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                for i in range(5):
                    tf.summary.scalar(f"m{i}", 1.0)
            else:
                time.sleep(1)
                seen.append({tag for tag in read(tmp_path / "train") if tag.startswith("m")})

    make_model().fit(*data, verbose=0, callbacks=[board(tmp_path), Late()])
    assert seen == [{"m0", "m1", "m2", "m3", "m4"}]


ENDS = """
import sys, time
import keras, numpy as np, tensorflow as tf
from fitwatch.callbacks import TensorBoard
class Ends(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        tf.summary.scalar("mine", batch)
        if batch == 3: {end}
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
board = TensorBoard(sys.argv[1], update_freq="batch", write_graph=False)
x = np.ones((80, 4))
model.fit(x, x[:, 0], batch_size=8, verbose=0, callbacks=[board, Ends()])
"""


@pytest.mark.parametrize(
    "end",
    ["raise RuntimeError", "sys.exit()", "time.sleep(0.5); import os; os.kill(os.getpid(), 9)"],
)
def test_none_is_lost_where_the_process_ends(tmp_path, end):
    subprocess.run(
        [sys.executable, "-c", ENDS.format(end=end), str(tmp_path)],
        capture_output=True,
        timeout=120,
    )
    assert steps(tmp_path / "train", "mine") == [1, 2, 3, 4]


def test_without_a_temporary_folder_training_goes_on(make_model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.warns(UserWarning, match=r"tf\.summary cannot be written") as caught:
        run = [board(tmp_path / "logs"), Writes()]
        make_model().fit(*data, epochs=3, verbose=0, callbacks=run)
    assert sum("tf.summary" in str(warning.message) for warning in caught) == 1
    assert steps(tmp_path / "logs" / "train", "epoch_loss") == [0, 1, 2]


def test_a_writer_is_made_for_callbacks_that_write(make_model, data, tmp_path, monkeypatch):
    folders = mock.Mock(wraps=tempfile.TemporaryDirectory)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", folders)

    class Flushes(Writes):
        @tf.function
        def write(self, batch):
            tf.summary.scalar("compiled", batch, step=tf.cast(batch, "int64"))

        def on_train_batch_end(self, batch, logs=None):
            self.write(tf.constant(batch))
            super().on_train_batch_end(batch, logs)
            tf.summary.flush()

    made = []
    for name, others in ("without", []), ("with", [Flushes()]):
        make_model().fit(*data, verbose=0, callbacks=[board(tmp_path / name), *others])
        made.append(folders.call_count)
    assert made == [0, 1]
    assert steps(tmp_path / "with" / "train", "compiled") == [0, 1]
    assert steps(tmp_path / "with" / "train", "mine") == [1, 2]


def test_without_a_validation_folder_training_goes_on(make_model, data, tmp_path):
    class Occupies(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if not epoch:
                (tmp_path / "validation").write_text("")

    with pytest.warns(UserWarning, match="an event file cannot be created"):
        make_model().fit(
            *data, epochs=2, verbose=0, validation_data=data,
            callbacks=[board(tmp_path), Occupies()],
        )  # fmt: skip
    assert steps(tmp_path / "train", "epoch_loss") == [0, 1]


def test_a_step_does_what_a_number_does(make_model, data, tmp_path):
    found = []

    class Calculates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            s, n = tf.summary.experimental.get_step(), batch + 1
            assert (s * 0.5, s / 2.0, s**0.5, 7.5 - s, 2.0**s) == (
                n / 2,
                n / 2,
                n**0.5,
                7.5 - n,
                2.0**n,
            )
            assert (s < 2.5, s == float(n), s != n, s >= n) == (n < 2.5, True, False, True)
            assert (divmod(s, 3), divmod(7, s), s % 2, s // 2) == (
                divmod(n, 3),
                divmod(7, n),
                n % 2,
                n // 2,
            )
            assert (s & 1, 6 | s, s ^ s, s << 1, -s, abs(s), round(s), int(s)) == (
                n & 1, 6 | n, 0, n << 1, -n, n, n, n,
            )  # fmt: skip
            assert np.sqrt(s) == np.sqrt(n)
            assert np.float32(1) + s == 1 + n
            assert float(tf.cast(s, tf.float32)) == n
            assert (f"{s:03d}", bool(s), list(range(5))[s]) == (f"{n:03d}", True, n)
            assert operator.index(s) == n
            found.append(int(s))

    make_model().fit(*data, verbose=0, callbacks=[board(tmp_path), Calculates()])
    assert found == [1, 2]


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow is there from the beginning")
def test_tensorflow_may_be_imported_in_an_epoch(tmp_path):
    code = """
import sys
import keras, numpy as np
from fitwatch.callbacks import TensorBoard
class Imports(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        import tensorflow
    def on_train_batch_end(self, batch, logs=None):
        if "tensorflow" in sys.modules: sys.modules["tensorflow"].summary.scalar("mine", batch)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
def batches():
    while True: yield np.ones((8, 4)), np.ones((8, 1))
board = TensorBoard(sys.argv[1], update_freq="batch", write_graph=False)
model.fit(batches(), steps_per_epoch=2, epochs=2, verbose=0, callbacks=[board, Imports()])
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert steps(tmp_path / "train", "mine") == [3, 4]
