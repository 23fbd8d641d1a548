"""Ctrl-C: the batch ends, all state is restored, and `fit()` raises KeyboardInterrupt."""

import signal
import threading

import keras
import numpy as np
import pytest
from event_reader import read

import fitwatch
from fitwatch import callbacks


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def enabled():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with fitwatch.enabled():
        yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Calls(keras.callbacks.Callback):
    """Writes down the hooks that matter here; presses Ctrl-C when one of them comes."""

    def __init__(self, press_at=None):
        super().__init__()
        self.calls = []
        self.press_at = press_at

    def _called(self, *call):
        self.calls.append(call)
        if call == self.press_at:
            press()

    def on_train_batch_begin(self, batch, logs=None):
        self._called("batch begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        self._called("batch end", batch)

    def on_test_batch_begin(self, batch, logs=None):
        self._called("test begin", batch)

    def on_predict_batch_begin(self, batch, logs=None):
        self._called("predict begin", batch)

    def on_test_end(self, logs=None):
        self._called("test end")

    def on_epoch_end(self, epoch, logs=None):
        self._called("epoch end", epoch)

    def on_train_end(self, logs=None):
        self._called("train end")


def usable(model, data):
    """The model's variables are there, and it can train, evaluate and predict."""
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert all(np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in model.optimizer.variables)
    assert model.predict(data[0], verbose=0).shape == (60, 2)
    assert np.isfinite(model.evaluate(*data, verbose=0)).all()
    assert len(model.fit(*data, verbose=0, batch_size=20).history["loss"]) == 1
    return True


@pytest.mark.parametrize("at", ["batch begin", "batch end"])
def test_the_batch_ends_and_nothing_comes_after_it(make_model, data, tmp_path, capfd, at):
    board = callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    history = callbacks.LossHistory()
    calls = Calls((at, 2))
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            *data,
            validation_split=0.25,
            batch_size=5,
            verbose=0,
            callbacks=[calls, board, history],
        )
    assert calls.calls[-1] == ("batch end", 2)
    assert model.optimizer.iterations == 3
    assert len(history.losses) == 3
    assert [step for step, _ in read(tmp_path / "train")["batch_loss"][2]] == [1, 2, 3]
    assert "press Ctrl-C again" in capfd.readouterr().err
    assert usable(model, data)
    assert len(history.losses) == 3


def test_the_second_press_interrupts_at_once(make_model, data):
    class Twice(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            press()
            self.first = True
            press()
            self.second = True

    twice = Twice()
    with pytest.raises(KeyboardInterrupt):
        make_model().fit(*data, verbose=0, callbacks=[twice])
    assert twice.first
    assert not hasattr(twice, "second")


def test_validation_is_left_too(make_model, data):
    calls = Calls(("test begin", 0))
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, validation_split=0.5, epochs=3, verbose=0, callbacks=[calls])
    assert ("test end",) not in calls.calls
    assert ("epoch end", 0) not in calls.calls
    assert usable(model, data)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_evaluate_and_predict(make_model, data, method):
    model = make_model()
    calls = Calls(("test begin" if method == "evaluate" else "predict begin", 1))
    arguments = data if method == "evaluate" else data[:1]
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(*arguments, batch_size=10, verbose=0, callbacks=[calls])
    assert calls.calls[-1] == calls.press_at
    assert usable(model, data)


@pytest.mark.parametrize("ema", [False, True])
@pytest.mark.parametrize("restore", [False, True])
def test_best_weights_come_back(make_model, data, capsys, ema, restore):
    """Also where the optimizer's averages overwrite the weights when `fit()` ends."""
    model = make_model(optimizer=keras.optimizers.SGD(0.1, use_ema=ema))
    # Nothing is better than the first epoch.
    stopping = callbacks.EarlyStopping(
        "epochs", mode="min", patience=9, restore_best_weights=restore, verbose=1
    )
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(epochs=float(epoch))
    )
    kept = {}

    class Late(Calls):
        def on_epoch_end(self, epoch, logs=None):
            kept[epoch] = self.model.get_weights()
            if epoch == 2:
                self.press_at = ("batch end", 0)

    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=5, verbose=0, callbacks=[count, stopping, Late()])
    same = all(np.array_equal(a, b) for a, b in zip(model.get_weights(), kept[0], strict=True))
    assert same is restore
    message = "Restoring model weights from the end of the best epoch: 1."
    assert (message in capsys.readouterr().out) is restore


def test_backups_are_kept(make_model, data, tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")

    class SecondEpoch(Calls):
        def on_epoch_end(self, epoch, logs=None):
            self.press_at = ("batch end", 0)

    with pytest.raises(KeyboardInterrupt):
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[backup, SecondEpoch()])
    assert any((tmp_path / "backup").iterdir())


def test_a_press_at_the_end_of_an_epoch_lets_it_end(make_model, data):
    calls, after = Calls(("epoch end", 0)), Calls()
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=3, verbose=0, callbacks=[calls, after])
    assert after.calls[-1] == ("epoch end", 0)
    assert usable(model, data)


def test_a_press_at_the_very_end_is_not_lost(make_model, data):
    calls = Calls(("train end",))
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=[calls])
    assert usable(model, data)


def test_an_evaluation_inside_a_hook(make_model, data):
    """The press comes in the inner run, and ends the outer one."""
    model, other = make_model(), make_model()
    inner = Calls(("test begin", 0))
    evaluates = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: other.evaluate(*data, verbose=0, callbacks=[inner])
    )
    calls = Calls()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=[calls, evaluates])
    assert calls.calls[-1] == ("batch end", 0)
    assert usable(model, data)
    assert usable(other, data)


def test_a_handler_of_ones_own_stays(make_model, data):
    pressed = []
    calls = Calls(("batch end", 0))
    previous = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        make_model().fit(*data, verbose=0, callbacks=[calls])
        assert pressed == [1]
        assert calls.calls[-1] == ("train end",)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_thread_of_its_own_installs_nothing(make_model, data):
    handlers = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: handlers.append(signal.getsignal(signal.SIGINT))
    )
    thread = threading.Thread(target=lambda: make_model().fit(*data, verbose=0, callbacks=[look]))
    thread.start()
    thread.join()
    assert set(handlers) == {signal.default_int_handler}


def test_an_exception_in_a_hook_of_an_evaluation_leaves_the_model_whole(make_model, data):
    """On JAX the variables are with the trainer then, and have to be brought back."""
    model = make_model()
    fail = keras.callbacks.LambdaCallback()
    fail.on_test_batch_end = lambda batch, logs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        model.evaluate(*data, verbose=0, callbacks=[fail])
    assert usable(model, data)


def test_weights_stay_in_an_evaluation_after_the_fit(make_model, data):
    stopping = callbacks.EarlyStopping("loss", restore_best_weights=True, patience=9)
    model = make_model()
    model.fit(*data, epochs=2, verbose=0, callbacks=[stopping])
    model.set_weights([np.full_like(weights, 7.0) for weights in model.get_weights()])
    with pytest.raises(KeyboardInterrupt):
        model.evaluate(*data, verbose=0, callbacks=[stopping, Calls(("test begin", 0))])
    assert all((weights == 7.0).all() for weights in model.get_weights())


def test_one_that_fails_does_not_keep_others_from_ending(make_model, data):
    stopping = callbacks.EarlyStopping("loss", restore_best_weights=True, patience=9)
    kept = {}

    class Late(Calls):
        def on_epoch_end(self, epoch, logs=None):
            kept.setdefault("best", self.model.get_weights())
            logs["loss"] = float(epoch)
            self.press_at = ("batch end", 0)

    def fails(callback, *, interrupted):
        raise OSError("broken")

    broken = callbacks.LossHistory()
    broken._fitwatch.close = fails
    model = make_model()
    with (
        pytest.warns(UserWarning, match="while a run ends: OSError"),
        pytest.raises(KeyboardInterrupt),
    ):
        model.fit(*data, epochs=3, verbose=0, callbacks=[broken, Late(), stopping])
    for weights, best in zip(model.get_weights(), kept["best"], strict=True):
        np.testing.assert_array_equal(weights, best)


def test_a_handler_that_is_set_meanwhile_stays(make_model, data):
    def mine(*_):
        pass

    saved = []

    class Sets(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            saved.append(signal.signal(signal.SIGINT, mine))

    make_model().fit(*data, verbose=0, callbacks=[Sets()])
    assert signal.getsignal(signal.SIGINT) is mine
    # The saved handler is fitwatch's, of a run that has ended; it acts like Python's.
    signal.signal(signal.SIGINT, saved[0])
    with pytest.raises(KeyboardInterrupt):
        press()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_list_whose_last_fit_failed(make_model, data):
    """Without `enable()` it was not notified; the next fit is still protected."""
    model = make_model()
    fail = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: 1 / 0)
    callback_list = callbacks.CallbackList([fail], add_history=True, model=model)
    fitwatch.disable()
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=callback_list)
    fitwatch.enable()
    calls = Calls(("batch begin", 0))
    callback_list.callbacks[0] = calls
    calls.set_model(model)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=callback_list)
    assert calls.calls[-1] == ("batch end", 0)
