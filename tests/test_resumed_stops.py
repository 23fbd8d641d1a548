"""A run that early stopping has ended, started again from its backup."""

import warnings

import keras
import numpy as np
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import callbacks

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Falls(keras.callbacks.Callback):
    """Writes the values of epochs: it improves three times, and then no more."""

    def __init__(self, values=(3.0, 2.0, 1.0)):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["value"] = self.values[min(epoch, len(self.values) - 1)]


def make_model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def run(folder, stopping=None, *more, epochs=12, values=(3.0, 2.0, 1.0), delete=False, **options):
    """A start of the script: a new model, new callbacks, and what is in the folder."""
    model = make_model()
    stopping = stopping or callbacks.EarlyStopping("value", patience=2, mode="min", **options)
    backup = callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=delete)
    history = model.fit(
        X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0,
        callbacks=[Falls(values), stopping, backup, *more],
    )  # fmt: skip
    return history.epoch, stopping, model


NOTHING = pytest.warns(UserWarning, match="EarlyStopping has stopped this training, and would stop")


def test_it_trains_nothing_more_however_often_it_is_started(tmp_path):
    assert run(tmp_path)[0] == [0, 1, 2, 3, 4]
    for _ in range(3):
        with NOTHING as warned:
            epochs, stopping, _ = run(tmp_path)
        assert epochs == []
        assert (stopping.stopped_epoch, stopping.wait, stopping.best) == (4, 2, 1.0)
        (said,) = [w for w in warned if "BackupAndRestore" in str(w.message)]
        assert "value has not improved for 2 epochs. Nothing is trained" in str(said.message)
        assert said.filename == __file__


def test_the_best_weights_are_restored_where_that_was_asked(tmp_path):
    seen = []

    class Keeps(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights())

    _, _, first = run(tmp_path, None, Keeps(), restore_best_weights=True)
    with NOTHING:
        _, _, again = run(tmp_path, restore_best_weights=True)
    with NOTHING:
        _, _, last = run(tmp_path)
    for model, expected in ((first, seen[2]), (again, seen[2]), (last, seen[4])):
        np.testing.assert_array_equal(model.get_weights()[0], expected[0])


def test_more_patience_goes_on_as_if_it_had_been_there_from_the_beginning(tmp_path):
    run(tmp_path / "b")
    with no_warnings():
        patient = callbacks.EarlyStopping("value", patience=4, mode="min")
        epochs, stopping, resumed = run(tmp_path / "b", patient)
    assert epochs == [5, 6]
    assert (stopping.stopped_epoch, stopping.wait) == (6, 4)
    patient = callbacks.EarlyStopping("value", patience=4, mode="min")
    _, other, whole = run(tmp_path / "whole", patient)
    assert (other.stopped_epoch, other.wait) == (6, 4)
    np.testing.assert_array_equal(resumed.get_weights()[0], whole.get_weights()[0])


def test_one_that_goes_on_and_is_not_stopped_has_no_stop(tmp_path, capsys):
    run(tmp_path)
    patient = callbacks.EarlyStopping("value", patience=40, mode="min", verbose=1)
    epochs, stopping, _ = run(tmp_path, patient, epochs=7)
    assert epochs == [5, 6]
    assert stopping.stopped_epoch == 0
    assert "early stopping" not in capsys.readouterr().out


MORE = {
    "less patience": ({"patience": 1}, []),
    "a later start": ({"patience": 2, "start_from_epoch": 6}, [5, 6]),
    "the same": ({"patience": 2}, []),
}


@pytest.mark.parametrize("what", MORE)
def test_other_arguments(what, tmp_path):
    run(tmp_path)
    options, expected = MORE[what]
    with NOTHING if not expected else no_warnings():
        stopping = callbacks.EarlyStopping("value", mode="min", **options)
        epochs, _, _ = run(tmp_path, stopping)
    assert epochs == expected


@pytest.mark.parametrize("combine", ["all", "any"])
def test_several_metrics(combine, tmp_path):
    def stopping(patience):
        return callbacks.EarlyStopping(
            ["value", "loss"], patience=patience, mode="min", combine=combine, min_delta=[0, 50]
        )

    first, _, _ = run(tmp_path, stopping(2))
    with NOTHING:
        assert run(tmp_path, stopping(2))[0] == []
    assert run(tmp_path, stopping(4))[0][0] == first[-1] + 1


def test_batches(tmp_path):
    def stopping(patience):
        return callbacks.EarlyStopping("loss", patience=patience, unit="batch", min_delta=1e9)

    first, one, _ = run(tmp_path, stopping(3))
    assert (first, one.stopped_batch) == ([0], 3)
    with NOTHING:
        assert run(tmp_path, stopping(3))[0] == []
    epochs, other, _ = run(tmp_path, stopping(7))
    assert (epochs, other.stopped_batch is not None) == ([1], True)


@pytest.mark.parametrize(("threshold", "expected"), [(5.0, []), (500.0, [2, 3, 4, 5])])
@pytest.mark.parametrize("value", [50.0, float("nan")])
def test_divergence(value, threshold, expected, tmp_path):
    def stopping(threshold):
        return callbacks.EarlyStopping(
            "value", patience=9, mode="min", divergence_threshold=threshold
        )

    first, _, _ = run(tmp_path, stopping(5.0), values=(1.0, value, 1.0), epochs=6)
    assert first == [0, 1]
    still = not expected or np.isnan(value)
    match = "value has diverged"
    with pytest.warns(UserWarning, match=match) if still else no_warnings():
        epochs, _, _ = run(tmp_path, stopping(threshold), values=(1.0, value, 1.0), epochs=6)
    assert epochs == ([] if still else expected)


def test_the_reason_is_the_one_of_now(tmp_path, capsys):
    """Stopped by a threshold, resumed without it, and stopped by patience."""

    def stopping(threshold):
        return callbacks.EarlyStopping(
            "value", patience=2, mode="min", divergence_threshold=threshold, verbose=1
        )

    values = (1.0, 50.0, 1.0)
    assert run(tmp_path, stopping(5.0), values=values)[0] == [0, 1]
    assert "value has diverged" in capsys.readouterr().out
    assert run(tmp_path, stopping(500.0), values=values)[0] == [2]
    assert "value has not improved for 2 epochs" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="value has not improved for 2 epochs"):
        assert run(tmp_path, stopping(500.0), values=values)[0] == []


def test_time(tmp_path):
    def stopping(seconds):
        return callbacks.EarlyStopping("value", patience=99, mode="min", max_time=seconds)

    assert run(tmp_path, stopping(1e-9))[0] == [0]
    with pytest.warns(UserWarning, match="1e-09 seconds have passed"):
        assert run(tmp_path, stopping(1e-9))[0] == []
    assert run(tmp_path, stopping(1e9), epochs=3)[0] == [1, 2]


def test_a_stop_of_a_user_s_callback_is_that_callback_s_to_judge(tmp_path):
    """As before: a run that is started again after its end continues."""

    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch >= 1

    patient = callbacks.EarlyStopping("value", patience=99, mode="min")
    assert run(tmp_path, patient, Stops())[0] == [0, 1]
    with no_warnings():
        patient = callbacks.EarlyStopping("value", patience=99, mode="min")
        assert run(tmp_path, patient, Stops())[0] == [2]


def test_a_process_that_died_before_it_could_end_goes_on_with_more_patience(tmp_path):
    class Dies(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise InterruptedError

    model = make_model()
    stopping = callbacks.EarlyStopping("value", patience=2, mode="min")
    listed = [Dies(), Falls(), stopping, callbacks.BackupAndRestore(tmp_path / "backup")]
    with pytest.raises(InterruptedError):
        model.fit(X, Y, batch_size=8, epochs=12, verbose=0, callbacks=listed)
    with NOTHING:
        assert run(tmp_path)[0] == []
    patient = callbacks.EarlyStopping("value", patience=4, mode="min")
    assert run(tmp_path, patient)[0] == [5, 6]


def test_under_enable_and_a_subclass_with_a_rule_of_its_own(tmp_path):
    class Mine(callbacks.EarlyStopping):
        def _is_improvement(self, value, reference):
            return super()._is_improvement(value, reference)

    with fitwatch.enabled():
        for _ in range(2):
            made = Mine("value", patience=2, mode="min")
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                last = run(tmp_path, made)[0]
    assert last == []
    (said,) = [str(w.message) for w in warned if "Nothing is trained" in str(w.message)]
    assert "value has not improved for 2 epochs" in said
    with fitwatch.enabled():
        assert run(tmp_path, Mine("value", patience=4, mode="min"))[0] == [5, 6]
