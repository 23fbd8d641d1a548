"""What happens between two batches of a compiled list: the data read, change and replace things."""

import contextlib
import io

import keras
import numpy as np
import pytest

from fitwatch import callbacks

BATCHES = 50
# How many batches the data may be ahead of the training: TensorFlow fetches them in a thread.
AHEAD = 20 if keras.config.backend() == "tensorflow" else 3


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def train(model, watching, between=lambda batch: None, epochs=1, verbose=0):
    """Trains with data that call `between` before each batch is made."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCHES, 8, 4)).astype("float32")
    y = x.sum(axis=2, keepdims=True)

    def data():
        for _ in range(epochs):
            for batch in range(BATCHES):
                between(batch)
                yield x[batch], y[batch]

    if not isinstance(watching, callbacks.CallbackList):
        options = {"model": model, "epochs": epochs, "steps": BATCHES, "verbose": verbose}
        watching = callbacks.CallbackList(watching, add_history=True, **options)
    options = {"epochs": epochs, "steps_per_epoch": BATCHES, "verbose": 0}
    model.fit(data(), callbacks=watching, **options)


def watched(folder):
    return [
        callbacks.LossHistory(),
        callbacks.TensorBoard(folder, update_freq="batch", write_graph=False),
        callbacks.CSVLogger(folder / "log.csv", update_freq="batch"),
        callbacks.TerminateOnNaN(),
    ]


@pytest.fixture
def losses():
    """The loss of every batch, as a Python hook sees it."""
    history = callbacks.LossHistory()
    train(make_model(), [history, callbacks.Callback(), Counts()])
    return history.losses


class Counts(callbacks.Callback):
    """A callback with Python hooks."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def test_nothing_differs_from_a_list_with_python_hooks(losses, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    files = []
    for folder, more in (("one", []), ("other", [Counts()])):
        watching = watched(tmp_path / folder)
        train(make_model(), [*watching, *more], epochs=3)
        np.testing.assert_array_equal(watching[0].losses[:BATCHES], losses)
        files.append((tmp_path / folder / "log.csv").read_text())
    assert files[0] == files[1]


def test_who_reads_sees_every_batch(losses):
    """An attribute that is read between two batches, by the data, has all batches that ended."""
    history, read = callbacks.LossHistory(), []

    def between(batch):
        read.append(history.losses)

    train(make_model(), [history], between)
    for batch, seen in enumerate(read):
        assert batch - AHEAD <= len(seen) <= batch
        np.testing.assert_array_equal(seen, losses[: len(seen)])


@pytest.mark.parametrize("replaces", [False, True])
def test_a_callback_that_joins_has_the_hooks_of_the_batches_that_follow(replaces):
    history, late, model = callbacks.LossHistory(), Counts(), make_model()
    options = {"model": model, "epochs": 1, "steps": BATCHES}
    own = [history, callbacks.TerminateOnNaN()]
    watching = callbacks.CallbackList(own, add_history=True, **options)

    def between(batch):
        if batch == 21 and replaces:
            watching.callbacks[1] = late
        elif batch == 21:
            watching.append(late)

    train(model, watching, between)
    assert late.batches == list(range(late.batches[0], BATCHES))
    assert 21 - AHEAD <= late.batches[0] <= 21
    assert len(history.losses) == BATCHES


def test_the_counts_of_batches_are_those_of_this_moment(tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    bar, read = callbacks.ProgbarLogger(), []

    def between(batch):
        read.append((batch, board._global_train_batch, bar.seen))

    with contextlib.redirect_stdout(io.StringIO()):
        train(make_model(), [callbacks.LossHistory(), board, bar], between, verbose=1)
    for batch, written, shown in read[1:]:
        assert batch - AHEAD <= written <= batch + 1
        assert batch - AHEAD <= (shown or 0) <= batch


def test_an_action_that_fails_ends_the_training_and_loses_nothing():
    class Stuck(keras.optimizers.SGD):
        """An optimizer whose rate cannot be set."""

        @property
        def learning_rate(self):
            return super().learning_rate

        @learning_rate.setter
        def learning_rate(self, rate):
            raise ZeroDivisionError

    history, model, made = callbacks.LossHistory(), make_model(), []
    model.compile(Stuck(), "mse")
    plateau = callbacks.ReduceLROnPlateau("loss", unit="batch", patience=5, min_delta=1e6)
    with pytest.raises(ZeroDivisionError):
        train(model, [history, plateau], made.append)
    # Six batches, and as many as a decision may be late.
    assert 6 <= len(history.losses) <= 6 + 16
    assert len(made) - AHEAD <= len(history.losses)


def test_a_train_function_that_is_wrapped_meanwhile(losses):
    history, model = callbacks.LossHistory(), make_model()

    def between(batch):
        if batch == 21:
            inner = model.train_function
            model.train_function = lambda *args: inner(*args)

    with pytest.warns(UserWarning, match="was replaced in the middle of an epoch"):
        train(model, [history], between)
    first = 21 - AHEAD
    np.testing.assert_array_equal(history.losses[:first], losses[:first])
    assert len(history.losses) == BATCHES
