"""LossHistory."""

import copy
import math
import pickle
import warnings

import keras
import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pytest

from fitwatch.callbacks import LossHistory


class ByHand(keras.callbacks.Callback):
    """What the tutorial writes."""

    def on_train_begin(self, logs):
        self.losses = []

    def on_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def test_keeps_what_the_hook_is_given_where_asked(make_model, data):
    ours, by_hand = LossHistory(loss="running"), ByHand()
    make_model().fit(*data, batch_size=7, epochs=3, verbose=0, callbacks=[ours, by_hand])
    np.testing.assert_array_equal(ours.losses, np.array(by_hand.losses, dtype=np.float32))
    assert ours.losses.dtype == np.float32
    assert not ours.losses.flags.writeable
    epochs = [ours.epoch(n) for n in range(3)]
    np.testing.assert_array_equal(np.concatenate(epochs), ours.losses)
    assert len(epochs[0]) == math.ceil(60 / 7)


def test_epochs_go_by_their_own_numbers(make_model, data):
    history = LossHistory()
    make_model().fit(*data, initial_epoch=3, epochs=5, verbose=0, callbacks=[history])
    assert len(history.epoch(4)) == 2
    with pytest.raises(IndexError, match="no epoch 0; there are: 3 to 4"):
        history.epoch(0)


def test_starts_over_in_every_fit(make_model, data):
    history, model = LossHistory(), make_model()
    for _ in range(2):
        model.fit(*data, verbose=0, callbacks=[history])
    assert len(history.losses) == 2


def test_a_ring_keeps_the_last_losses(make_model, data):
    whole, ring = LossHistory(), LossHistory(capacity=5)
    make_model().fit(*data, batch_size=10, epochs=3, verbose=0, callbacks=[whole, ring])
    np.testing.assert_array_equal(ring.losses, whole.losses[-5:])
    np.testing.assert_array_equal(ring.epoch(2), whole.epoch(2)[-5:])
    assert len(ring.epoch(0)) == 0


def test_a_custom_loop_may_hand_over_any_scalar():
    history = LossHistory()
    history.on_train_begin()
    history.on_epoch_begin(0)
    scalars = [0.5, 1, np.float64(0.25), keras.ops.convert_to_tensor(0.125)]
    for batch, loss in enumerate(scalars):
        history.on_train_batch_end(batch, {"loss": loss})
    assert history.epoch(0).tolist() == [0.5, 1.0, 0.25, 0.125]


@pytest.mark.parametrize(
    "logs", [None, {}, 0.5, {"d_loss": 0.1}, {"loss": "high"}, {"loss": [1, 2]}]
)
def test_a_loss_that_is_missing_is_reported_once(logs):
    history = LossHistory()
    history.on_train_begin()
    with pytest.warns(UserWarning, match="no numeric 'loss'") as caught:
        for batch in range(3):
            history.on_train_batch_end(batch, logs)
    assert len(caught) == 1
    assert len(history.losses) == 0


def test_a_plot_for_every_epoch(make_model, data, tmp_path):
    history = LossHistory(tmp_path / "new" / "plot_at_epoch_{epoch}.png")
    make_model().fit(*data, batch_size=10, epochs=3, verbose=0, callbacks=[history])
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"plot_at_epoch_{n}.png" for n in range(3)]
    picture = matplotlib.image.imread(tmp_path / "new" / names[0])
    assert picture.shape[0] > 400
    assert picture.shape[1] > 700
    assert not matplotlib.pyplot.get_fignums()


def test_a_plot_shows_the_losses_of_its_epoch(tmp_path, monkeypatch):
    from fitwatch._view import plot

    drawn = []
    monkeypatch.setattr(plot, "save_curve", lambda path, curve, **o: drawn.append((curve, o)))
    history = LossHistory(tmp_path / "{epoch}.png", capacity=3, title="{epoch}: $5 {x}")
    history.on_train_begin()
    for epoch in (0, 1):
        history.on_epoch_begin(epoch)
        for batch in range(2):
            history.on_train_batch_end(batch, {"loss": epoch + batch / 4})
        history.on_epoch_end(epoch)
    assert [curve.losses.tolist() for curve, _ in drawn] == [[0.0, 0.25], [1.0, 1.25]]
    assert [options["title"] for _, options in drawn] == ["0: $5 {x}", "1: $5 {x}"]
    assert [curve.first for curve, _ in drawn] == [0, 0]


@pytest.mark.parametrize("text", ["Потери за эпоху {epoch}", "损失 $", "a_b^{c} 100% \\alpha"])
def test_texts_may_be_any_unicode(tmp_path, text):
    history = LossHistory(tmp_path / "потери_{epoch}", title=text, xlabel=text, ylabel=text)
    history.on_train_begin()
    history.on_epoch_begin(0)
    history.on_train_batch_end(0, {"loss": 1.0})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a font without these characters
        history.on_epoch_end(0)
    assert (tmp_path / "потери_0.png").exists()


@pytest.mark.parametrize(
    ("plot", "name"),
    [("p_{epoch}", "p_0.png"), ("lr0.1_{epoch}", "lr0.1_0.png"), ("{epoch:03d}.svg", "000.svg")],
)
def test_a_suffix_is_added_where_there_is_none(tmp_path, plot, name):
    history = LossHistory(tmp_path / plot)
    history.on_train_begin()
    history.on_epoch_begin(0)
    history.on_train_batch_end(0, {"loss": 1.0})
    history.on_epoch_end(0)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_odd_values_are_plotted_too(tmp_path):
    history = LossHistory(tmp_path / "{epoch}.png")
    history.on_train_begin()
    for epoch, losses in enumerate(
        [[], [1.0], [math.nan] * 3, [1.0, math.inf, 2.0], [1e38, -1e38]]
    ):
        history.on_epoch_begin(epoch)
        for batch, loss in enumerate(losses):
            history.on_train_batch_end(batch, {"loss": loss})
        history.on_epoch_end(epoch)
        assert (tmp_path / f"{epoch}.png").exists()


def test_a_plot_that_cannot_be_saved_does_not_end_the_fit(make_model, data, tmp_path):
    history = LossHistory(tmp_path / "plots" / "{epoch}.png")

    class Occupies(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            (tmp_path / "plots" / f"{epoch}.png").mkdir()

    with pytest.warns(UserWarning, match=r"no plot of epoch 0: .*0\.png"):
        make_model().fit(*data, epochs=2, verbose=0, callbacks=[history, Occupies()])
    assert len(history.losses) == 4


def test_a_folder_that_cannot_be_made_is_known_before_training(make_model, data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="plot: the folder"):
        make_model().fit(
            *data, verbose=0, callbacks=[LossHistory(tmp_path / "file" / "{epoch}.png")]
        )


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda history: pickle.loads(pickle.dumps(history))]
)
def test_copies_keep_the_losses_and_share_none(copied):
    history = LossHistory()
    history.on_train_begin()
    history.on_epoch_begin(0)
    history.on_train_batch_end(0, {"loss": 0.5})
    twin = copied(history)
    twin.on_train_batch_end(1, {"loss": 0.25})
    assert (twin.epoch(0).tolist(), history.epoch(0).tolist()) == ([0.5, 0.25], [0.5])


def fed(history, epochs, validation=None):
    """A history that a loop by hand has fed with the losses of epochs."""
    history.on_train_begin()
    for epoch, losses in enumerate(epochs):
        history.on_epoch_begin(epoch)
        for batch, loss in enumerate(losses):
            history.on_train_batch_end(batch, {"loss": loss})
        history.on_epoch_end(epoch, {"val_loss": validation[epoch]} if validation else {})
    history.on_train_end()
    return history


def test_a_plot_of_the_whole_run_at_the_end(tmp_path, monkeypatch):
    from fitwatch._view import plot

    drawn = []
    monkeypatch.setattr(plot, "save_curve", lambda path, curve, **o: drawn.append((path, curve, o)))
    history = fed(
        LossHistory(tmp_path / "run.png"), [[3.0, 2.0], [1.0], [2.0, 4.0]], [2.5, 1.5, 3.5]
    )
    ((path, curve, options),) = drawn
    assert path == str(tmp_path / "run.png")
    assert curve.losses.tolist() == [3.0, 2.0, 1.0, 2.0, 4.0]
    assert list(curve.epochs) == [(0, 0), (1, 2), (2, 3)]
    assert list(curve.validation) == [(1, 2.5), (2, 1.5), (4, 3.5)]
    assert curve.best == (1, 2, 1.5)
    assert options["title"] == "Loss"
    history.save_plot(tmp_path / "one.png", epoch=2)
    _, curve, options = drawn[1]
    assert curve.losses.tolist() == [2.0, 4.0]
    assert list(curve.validation) == [(1, 3.5)]
    assert options["title"] == "Loss in epoch 2"


def test_the_best_epoch_without_validation_is_that_of_the_least_loss():
    record = fed(LossHistory(), [[3.0, 2.0], [1.0, 9.0], [math.nan]])._fitwatch.record
    assert record.best() == (0, 1, 2.0)  # what a loop logs is taken for a running mean
    record.kind = "batch"
    assert record.best() == (0, 1, 2.5)
    assert LossHistory()._fitwatch.record.best() is None


def test_drops_of_the_learning_rate_are_noted(make_model, data, tmp_path):
    from fitwatch.callbacks import LearningRateScheduler, ReduceLROnPlateau

    rates = [0.1, 0.1, 0.01, 0.05]
    history = LossHistory()
    scheduler = LearningRateScheduler(lambda epoch: rates[epoch])
    make_model().fit(*data, batch_size=10, epochs=4, verbose=0, callbacks=[scheduler, history])
    ((batch, before, after),) = history._fitwatch.record.rate_drops
    assert (batch, pytest.approx(before), pytest.approx(after)) == (12, 0.1, 0.01)
    plateau = ReduceLROnPlateau("loss", unit="batch", patience=3, min_delta=100)
    make_model().fit(*data, batch_size=10, epochs=2, verbose=0, callbacks=[plateau, history])
    assert [batch - 1 for batch, _, _ in history._fitwatch.record.rate_drops] == plateau.reductions
    assert len(plateau.reductions) == 3
    history.save_plot(tmp_path / "run.png")


@pytest.mark.parametrize("capacity", [None, 4])
def test_what_is_saved_is_loaded(tmp_path, capacity):
    history = fed(LossHistory(capacity=capacity), [[3.0, 2.0], [1.0], [2.0, 4.0]], [2.5, 1.5, 3.5])
    history._fitwatch.record.rate_drops.append((3, 0.1, 0.01))
    history.save(tmp_path / "run.npz")
    loaded = LossHistory.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(loaded.losses, history.losses)
    assert loaded.epoch(2).tolist() == [2.0, 4.0]
    assert loaded.kind == history.kind == "logs"
    for name in ("epochs", "validation", "rate_drops"):
        assert getattr(loaded._fitwatch.record, name) == getattr(history._fitwatch.record, name)
    assert loaded.capacity == capacity
    with np.load(tmp_path / "run.npz") as file:
        assert file["losses"].dtype == np.float32
        assert file["epochs"].tolist() == [[0, 0, 2], [1, 2, 3], [2, 3, 5]]
        assert str(file["kind"]) == "logs"
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    fed(LossHistory(), [[1.0]]).save(path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        args[0].write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        fed(LossHistory(), [[2.0]]).save(path)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("content", [b"", b"PK", b"no file of ours"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises((ValueError, OSError), match=r"x\.npz|empty"):
        LossHistory.load(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", losses=[1.0])
    with pytest.raises(ValueError, match=r"y\.npz' is not a file of LossHistory"):
        LossHistory.load(tmp_path / "y.npz")
    with pytest.raises(FileNotFoundError):
        LossHistory.load(tmp_path / "z.npz")


def test_a_table_for_pandas():
    pytest.importorskip("pandas")
    frame = fed(LossHistory(capacity=3), [[3.0, 2.0], [1.0], [4.0]]).to_pandas()
    assert frame.index.name == "batch"
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["epoch"].tolist() == [0, 1, 2]
    assert frame["loss"].tolist() == [2.0, 1.0, 4.0]
    assert frame["loss"].dtype == np.float32
    assert len(LossHistory().to_pandas()) == 0


def test_without_pandas_there_is_a_clear_error(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"to_pandas\(\) needs pandas"):
        LossHistory().to_pandas()


def test_ten_million_batches_take_four_bytes_each():
    """42 MB for ten million; here a tenth of that, and the copy that `losses` makes."""
    import tracemalloc

    history = LossHistory()
    history.on_train_begin()
    record = history._fitwatch.record
    record.series.__setstate__((0, np.arange(10**6, dtype=np.float32).tobytes()))
    assert len(history.__reduce_ex__(4)[2][0]["_fitwatch"].record.series) == 10**6
    tracemalloc.start()
    losses = history.losses
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert losses[-1] == 10**6 - 1
    assert peak < 4.2e6
