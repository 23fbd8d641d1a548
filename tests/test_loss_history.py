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


def test_keeps_what_the_hook_is_given(make_model, data):
    ours, by_hand = LossHistory(), ByHand()
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
    with pytest.warns(UserWarning, match="no 'loss'") as caught:
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
    from fitwatch import _plot

    drawn = []
    monkeypatch.setattr(_plot, "save_curve", lambda path, values, **o: drawn.append((values, o)))
    history = LossHistory(tmp_path / "{epoch}.png", capacity=3, title="{epoch}: $5 {x}")
    history.on_train_begin()
    for epoch in (0, 1):
        history.on_epoch_begin(epoch)
        for batch in range(2):
            history.on_train_batch_end(batch, {"loss": epoch + batch / 4})
        history.on_epoch_end(epoch)
    assert [values.tolist() for values, _ in drawn] == [[0.0, 0.25], [1.0, 1.25]]
    assert [options["title"] for _, options in drawn] == ["0: $5 {x}", "1: $5 {x}"]
    assert [options["first"] for _, options in drawn] == [0, 0]


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
