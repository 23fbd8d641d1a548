"""Tools that replace TensorFlow's summary functions get the same calls as from Keras's callback."""

import functools
import os
import re
import sys

import keras
import numpy as np
import pytest
from event_reader import read

import fitwatch
from fitwatch import callbacks
from fitwatch._keras import summary_ops

tf = pytest.importorskip("tensorflow")

import tensorboard.summary.v2 as summary_v2  # noqa: E402
from tensorflow.python.ops import gen_summary_ops  # noqa: E402

STOCK = keras.callbacks.TensorBoard


def text(value):
    value = value.numpy() if hasattr(value, "numpy") else value
    return value.decode() if isinstance(value, bytes) else value


def listen_like_wandb(monkeypatch, told):
    """It receives folders, in which it looks for files."""
    original = gen_summary_ops.create_summary_file_writer

    def create_summary_file_writer(*args, **kwargs):
        told.append(os.path.basename(text(kwargs["logdir"])))
        return original(*args, **kwargs)

    monkeypatch.setattr(gen_summary_ops, "create_summary_file_writer", create_summary_file_writer)


def listen_like_clearml(monkeypatch, told):
    """It receives values."""
    original = gen_summary_ops.write_summary

    @functools.wraps(original)
    def write_summary(writer, step, tensor, tag, summary_metadata, name=None):
        kind = summary_metadata[2:14]
        if b"scalars" in kind:
            told.append((text(tag), int(step), float(tensor)))
        elif b"histograms" in kind or b"images" in kind:
            told.append((text(tag), int(step), np.asarray(tensor).tolist()))
        return original(writer, step, tensor, tag, summary_metadata, name)

    monkeypatch.setattr(gen_summary_ops, "write_summary", write_summary)


def listen_like_comet(monkeypatch, told):
    """It has a function of its own in TensorBoard's module."""
    original = summary_v2.scalar

    def scalar(name, data, step=None, description=None):
        written = original(name, data, step=step, description=description)
        # Keras calls it for every batch, also where nothing is recorded.
        if bool(written):
            told.append((name, int(step), float(data)))
        return written

    monkeypatch.setattr(summary_v2, "scalar", scalar)


def listen_like_neptune(monkeypatch, told):
    """It replaces the public functions."""
    original = tf.summary.scalar

    def scalar(name, data, step=None, **kwargs):
        written = original(name, data, step=step, **kwargs)
        if bool(written):
            told.append((name, int(step), float(data)))
        return written

    monkeypatch.setattr(tf.summary, "scalar", scalar)


TOOLS = [listen_like_wandb, listen_like_clearml, listen_like_comet, listen_like_neptune]


def train(cls, folder, make_model, data, **options):
    keras.utils.set_random_seed(1)
    board = cls(str(folder), **options)
    make_model().fit(
        *data, epochs=3, batch_size=20, shuffle=False, verbose=0, validation_data=data,
        callbacks=[board],
    )  # fmt: skip
    return board


def scalars(folder):
    """All scalars below a folder, by sub-folder and tag."""
    found = ((sub, read(folder / sub)) for sub in ("train", "validation"))
    return {
        (sub, tag): points
        for sub, series in found
        for tag, (plugin, _, points) in series.items()
        if plugin == "scalars"
    }


@pytest.mark.parametrize("listen", TOOLS)
@pytest.mark.parametrize("update_freq", ["epoch", 1])
def test_they_are_told_the_same(listen, update_freq, make_model, data, tmp_path, monkeypatch):
    said = {"theirs": [], "ours": []}
    for who, cls in (("theirs", STOCK), ("ours", callbacks.TensorBoard)):
        with monkeypatch.context() as patch:
            listen(patch, said[who])
            context = fitwatch.enabled() if who == "ours" else patch.context()
            with context:
                train(cls, tmp_path / who, make_model, data, update_freq=update_freq)
    assert said["theirs"]
    assert sorted(said["ours"]) == sorted(said["theirs"])
    assert scalars(tmp_path / "ours") == scalars(tmp_path / "theirs")
    for sub in ("train", "validation"):
        assert len(os.listdir(tmp_path / "ours" / sub)) == 1


def test_histograms_and_images_are_told_too(make_model, data, tmp_path, monkeypatch):
    said = {"theirs": [], "ours": []}
    for who, cls in (("theirs", STOCK), ("ours", callbacks.TensorBoard)):
        with monkeypatch.context() as patch:
            listen_like_clearml(patch, said[who])
            train(cls, tmp_path / who, make_model, data, histogram_freq=1, write_images=True)
    # The names of layers are counted on from one model to the next.
    for each in said.values():
        each[:] = [(re.sub(r"_\d+", "", tag), *rest) for tag, *rest in each]
    assert said["ours"] == said["theirs"]
    assert {"histogram", "image"} <= {tag.rsplit("/")[-1] for tag, *_ in said["ours"]}


def test_a_user_s_summaries_are_in_the_same_file(make_model, data, tmp_path, monkeypatch):
    class Mine(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            tf.summary.scalar("mine", batch)

    told = []
    listen_like_wandb(monkeypatch, told)
    with fitwatch.enabled():
        board = callbacks.TensorBoard(str(tmp_path), update_freq=1)
        make_model().fit(*data, batch_size=20, verbose=0, callbacks=[board, Mine()])
    assert told == ["train"]
    assert len(os.listdir(tmp_path / "train")) == 1
    assert [value for _, value in read(tmp_path / "train")["mine"][2]] == [[0.0], [1.0], [2.0]]


def test_nothing_changes_where_nobody_listens(make_model, data, tmp_path, monkeypatch):
    assert not summary_ops.is_listened_to()
    train(callbacks.TensorBoard, tmp_path, make_model, data)
    (name,) = os.listdir(tmp_path / "train")
    assert ".fitwatch." in name
    told = []
    with monkeypatch.context() as patch:
        listen_like_clearml(patch, told)
        assert summary_ops.is_listened_to()
    assert not summary_ops.is_listened_to()


def test_a_stand_in_for_tensorboard_is_no_listener(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    assert not summary_ops.is_listened_to()


def test_a_full_disk_ends_no_training(make_model, data, tmp_path, monkeypatch):
    told = []
    listen_like_wandb(monkeypatch, told)
    board = callbacks.TensorBoard(str(tmp_path), update_freq=1)

    def scalar(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left")

    monkeypatch.setattr(tf.summary, "scalar", scalar)
    with fitwatch.enabled(), pytest.warns(UserWarning, match="cannot be written: .*No space") as w:
        make_model().fit(*data, epochs=2, batch_size=20, verbose=0, callbacks=[board])
    assert len([one for one in w if "No space" in str(one.message)]) == 1
