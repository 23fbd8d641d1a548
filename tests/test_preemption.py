"""`BackupAndRestore(save_before_preemption=True)`: a signal ends the program after a backup."""

import contextlib
import gc
import signal
import threading
import warnings

import keras
import pytest
from crashes import Crashes
from preempted import EPOCHS, Moments, Training, X, Y

import fitwatch
from fitwatch import callbacks

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of Unix")

BATCHES = 10
ALL = [(epoch, batch) for epoch in range(EPOCHS) for batch in range(BATCHES)]


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with fitwatch.enabled():
        return Training(str(tmp_path_factory.mktemp("whole"))).fit()


# The moment of the signal, and the last hook that is called then.
MOMENTS = {
    ("begin",): ("batch", 0, 0),
    ("batch", 1, 4): ("batch", 1, 4),
    ("batch", 1, 9): ("validation", 1, 0),
    ("validation", 1, 2): ("validation", 1, 2),
    ("validation", 2, 4): ("validation", 2, 4),
    ("epoch end", 2): ("epoch end", 2),
    ("end",): ("end",),
}


@pytest.mark.parametrize("at", MOMENTS, ids=lambda at: "-".join(map(str, at)))
def test_it_ends_at_once_and_the_resumed_run_ends_as_one_that_was_not_ended(tmp_path, whole, at):
    with fitwatch.enabled():
        ended = Moments(at)
        with pytest.raises(SystemExit) as raised:
            Training(str(tmp_path), ended).fit()
        assert raised.value.code == 128 + signal.SIGTERM
        assert ended.seen[-1] == MOMENTS[at]
        resumed = Moments()
        result = Training(str(tmp_path), resumed).fit()
    assert ended.trained + resumed.trained == ALL
    assert result == whole


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("stock list", ("batch", 1, 4)),
        ("stock list", ("validation", 1, 2)),
        ("compiled list", ("validation", 1, 2)),
    ],
)
def test_without_enable(tmp_path, whole, kind, at):
    def train(moments):
        training = Training(str(tmp_path), moments)
        if kind != "stock list":
            training.callbacks = callbacks.CallbackList(
                training.callbacks, add_history=True, model=training.model, epochs=EPOCHS
            )
        return training.fit()

    ended, resumed = Moments(at), Moments()
    with pytest.raises(SystemExit):
        train(ended)
    assert ended.seen[-1] == at
    assert train(resumed) == whole
    assert ended.trained + resumed.trained == ALL


def quick(folder, *extra, **options):
    """A run of a small model without validation."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = callbacks.BackupAndRestore(folder, **{"save_before_preemption": True, **options})
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[backup, *extra])
    return model


def resumed(folder, **options):
    moments = Moments()
    quick(folder, moments, **options)
    return moments.trained


def test_without_exact_the_epoch_is_repeated(tmp_path):
    with fitwatch.enabled(), pytest.raises(SystemExit):
        quick(tmp_path, Moments(("batch", 1, 4)), save_freq=False)
    assert resumed(tmp_path) == [(1, batch) for batch in range(BATCHES)]


def test_a_list_of_signals(tmp_path):
    seen = []
    other = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(signal.getsignal(signal.SIGTERM))
    )
    moments = Moments(("batch", 0, 2), signal.SIGUSR1)
    with pytest.raises(SystemExit) as raised:
        quick(tmp_path, other, moments, save_before_preemption=[signal.SIGUSR1])
    assert raised.value.code == 128 + signal.SIGUSR1
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_handler_that_was_there_is_called_first(tmp_path, enabled):
    calls = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: calls.append(number))
    mine = signal.getsignal(signal.SIGTERM)
    try:
        on = fitwatch.enabled if enabled else contextlib.nullcontext
        with on(), pytest.raises(SystemExit):
            quick(tmp_path, Moments(("batch", 0, 2)), exact=True)
        assert calls == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert resumed(tmp_path, exact=True)[0] == (0, 3)


def test_a_signal_that_comes_twice_at_once_is_one(tmp_path):
    class Twice(Moments):
        def _reached(self, *moment):
            super()._reached(*moment)
            super()._reached(*moment)

    with pytest.raises(SystemExit) as end:
        Training(tmp_path, Twice(("batch", 0, 3))).fit()
    assert end.value.code == 128 + signal.SIGTERM
    assert (tmp_path / "backup" / "latest.weights.h5").exists()


def test_a_second_signal_ends_at_once(tmp_path):
    """Without this callback: by the handler that was there before."""

    class AtOnceError(Exception):
        pass

    def handler(number, frame):
        if moments.second:
            raise AtOnceError

    class Twice(Moments):
        second = False

        def _reached(self, *moment):
            super()._reached(*moment)
            if moment == self.at:
                self.second = True
                signal.raise_signal(signal.SIGUSR1)
                self.seen.append("went on")

    moments = Twice(("batch", 0, 2))
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(AtOnceError):
            quick(tmp_path, moments)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert moments.seen[-1] == ("batch", 0, 2)
    assert not (tmp_path / "latest.weights.h5").exists()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("where", ["hook", "data", "none"])
def test_the_handlers_are_restored_in_every_way_that_a_fit_ends(tmp_path, where, enabled):
    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, batch):
            if where == "data" and batch == 2:
                raise InterruptedError
            return X[:4], Y[:4]

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    listed = [callbacks.BackupAndRestore(tmp_path, save_before_preemption=True)]
    listed += [Crashes(2)] if where == "hook" else []
    with fitwatch.enabled() if enabled else contextlib.nullcontext():
        try:
            model.fit(Data(), verbose=0, callbacks=listed)
        except Exception:
            assert where != "none"
        else:
            assert where == "none"
    gc.collect()  # a list that was not told dies with its traceback
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_after_a_fit_that_did_not_tell_its_end(tmp_path):
    """A list that lives on keeps the handler, which acts like the one before."""
    calls = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: calls.append(number))

    def data():
        yield X[:4], Y[:4]
        raise InterruptedError

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = callbacks.BackupAndRestore(tmp_path, save_before_preemption=True)
    kept = keras.callbacks.CallbackList([backup], model=model)
    try:
        with pytest.raises(Exception, match=r".*"):
            model.fit(data(), verbose=0, callbacks=kept)
        signal.raise_signal(signal.SIGTERM)
        assert calls == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is not before
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_there_is_one_warning(tmp_path):
    caught = []

    def fit():
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            quick(tmp_path)
        caught.extend(str(one.message) for one in found)

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert len([text for text in caught if "only in the main thread" in text]) == 1


def test_a_spoiled_model_is_not_backed_up(tmp_path):
    class Spoils(Moments):
        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1 and batch == 2:
                self.model.set_weights([w * float("nan") for w in self.model.get_weights()])
                signal.raise_signal(signal.SIGTERM)

    with (
        fitwatch.enabled(),
        pytest.warns(UserWarning, match="model is not saved"),
        pytest.raises(SystemExit),
    ):
        quick(tmp_path, callbacks.TerminateOnNaN(), Spoils(), exact=True)
    assert resumed(tmp_path, exact=True)[0] == (1, 0)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="it knows one step only")
@pytest.mark.parametrize("at", [("batch", 0, 4), ("batch", 0, 8), ("validation", 0, 0)])
def test_several_steps_in_one_call(tmp_path, at):
    def fit(folder, moments):
        with fitwatch.enabled():
            training = Training(str(folder), moments)
            training.model.compile("adam", "mse", steps_per_execution=4)
            return training.fit(epochs=2, validation_batch_size=4)

    whole = Moments()
    expected = fit(tmp_path, whole)
    ended, resumed = Moments(at), Moments()
    with pytest.raises(SystemExit):
        fit(tmp_path / "ended", ended)
    assert fit(tmp_path / "ended", resumed) == {**expected, "files": resumed_files(tmp_path)}
    assert ended.trained + resumed.trained == whole.trained


def resumed_files(folder):
    return sorted(path.name for path in (folder / "ended").iterdir())


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1, TypeError, "must be True, False or a list of signals.*got 1"),
        ("SIGTERM", TypeError, "or a list of signals"),
        ([signal.SIGINT], ValueError, "other than SIGINT"),
        ([signal.SIGKILL], ValueError, "that a program can handle"),
        ([4000], ValueError, "got 4000"),
    ],
)
def test_bad_arguments(tmp_path, value, error, message):
    with pytest.raises(error, match=message):
        callbacks.BackupAndRestore(tmp_path, save_before_preemption=value)


def test_a_loop_is_refused(tmp_path, make_model):
    backup = callbacks.BackupAndRestore(tmp_path, save_before_preemption=True)
    loop = callbacks.CallbackList([backup], model=make_model())
    with pytest.raises(ValueError, match="is for fit"):
        loop.on_train_begin()


@pytest.mark.parametrize("enabled", [True, False])
def test_in_a_validation_inside_an_epoch(tmp_path, enabled):
    """The resumed run validates where the run was ended, before it trains on."""

    def fit(folder, moments):
        validations = callbacks.Validation(every=3)
        training = Training(str(folder), validations, moments)
        on = fitwatch.enabled if enabled else contextlib.nullcontext
        with on():
            result = training.fit(epochs=2, validation_batch_size=4)
        return {**result, "files": None, "validations": validations.history}

    whole, ended, resumed = Moments(), Moments(), Moments()
    expected = fit(tmp_path, whole)
    assert expected["validations"]["batch"] == [2, 5, 8, 9, 11, 14, 17, 19]
    # The fourth one, and the second of epoch 1.
    ended.stop_in = 6
    with pytest.raises(SystemExit):
        fit(tmp_path / "ended", ended)
    assert ended.trained[-1] == (1, 4)
    assert fit(tmp_path / "ended", resumed) == expected
    assert ended.trained + resumed.trained == whole.trained
