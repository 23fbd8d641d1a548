"""BackupAndRestore among other callbacks, in subclasses, and when something fails."""

import keras
import pytest
from crashes import content, crash, metadata

import fitwatch
from fitwatch.callbacks import BackupAndRestore, CSVLogger, EarlyStopping, History


def test_a_read_that_fails_once_damages_nothing(make_model, data, tmp_path, monkeypatch):
    """Keras copies the backup before the last one over the last one then."""
    crash(make_model(), data, BackupAndRestore(tmp_path / "b", double_checkpoint=True), at=3)
    before = content(tmp_path / "b")
    model = make_model()

    def fails(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(model, "load_weights", fails)
    with pytest.raises(OSError, match="Input/output error"):
        model.fit(
            *data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b", double_checkpoint=True)]
        )
    assert content(tmp_path / "b") == before
    assert model._initial_epoch is None


def test_a_begin_that_fails_leaves_nothing_behind(make_model, data, tmp_path):
    def fails(logs):
        raise InterruptedError

    logger = CSVLogger(tmp_path / "log.csv")
    crash(make_model(), data, logger, BackupAndRestore(tmp_path / "b"))
    model = make_model()
    broken = keras.callbacks.LambdaCallback(on_train_begin=fails)
    with pytest.raises(InterruptedError):
        model.fit(*data, verbose=0, callbacks=[broken, logger, BackupAndRestore(tmp_path / "b")])
    assert model.fit(*data, epochs=1, verbose=0, callbacks=[logger]).epoch == [0]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


def test_inside_another_callback(make_model, data, tmp_path):
    class Has(keras.callbacks.Callback):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def set_model(self, model):
            super().set_model(model)
            self.inner.set_model(model)

        def on_train_begin(self, logs=None):
            self.inner.on_train_begin(logs)

        def on_epoch_begin(self, epoch, logs=None):
            self.inner.on_epoch_begin(epoch, logs)

        def on_epoch_end(self, epoch, logs=None):
            self.inner.on_epoch_end(epoch, logs)

    crash(make_model(), data, Has(BackupAndRestore(tmp_path / "b")), History())
    assert metadata(tmp_path / "b")["epoch"] == 2
    resumed = make_model().fit(
        *data, epochs=3, verbose=0, callbacks=[Has(BackupAndRestore(tmp_path / "b"))]
    )
    assert resumed.epoch == [2]


@pytest.mark.parametrize("on", [True, False])
def test_a_rule_of_a_subclass_counts(make_model, data, tmp_path, on):
    saved = []

    class Own(BackupAndRestore):
        def _should_save_on_batch(self, batch):
            return batch == 1

        def _save_model(self):
            saved.append(self._last_batch_seen)

    with fitwatch.enabled() if on else keras.name_scope("stock"):
        listed = [Own(tmp_path / "b"), EarlyStopping("loss", patience=9)]
        make_model().fit(*data, batch_size=10, epochs=2, verbose=0, callbacks=listed)
    assert saved == [1, 0, 1, 0]


def test_a_subclass_that_takes_nothing_up_begins_anew(make_model, data, tmp_path):
    class Fresh(BackupAndRestore):
        def _load_model(self):
            pass

    stopper = EarlyStopping("loss", patience=9)
    crash(make_model(), data, stopper, BackupAndRestore(tmp_path / "b"))
    fresh = make_model().fit(*data, epochs=1, verbose=0, callbacks=[stopper, Fresh(tmp_path / "b")])
    assert fresh.epoch == [0]
    assert stopper.best == fresh.history["loss"][0]


def test_states_are_found_by_their_metric(make_model, data, tmp_path):
    def listed(*monitors):
        return [EarlyStopping(name, patience=9, mode="min") for name in monitors]

    first = listed("loss", "accuracy")
    crash(make_model(), data, *first, BackupAndRestore(tmp_path / "b"))
    again = listed("accuracy", "loss")
    crash(make_model(), data, *again, BackupAndRestore(tmp_path / "b"), at=2)
    assert [one.best for one in again] == [one.best for one in reversed(first)]


def test_keys_that_json_would_change_are_refused(make_model, data, tmp_path):
    class Own(keras.callbacks.Callback):
        def state_dict(self):
            return {"by epoch": {1: 2}}

        def load_state_dict(self, state):
            pass

    with pytest.raises(TypeError, match=r"state_dict\(\) of Own .*the key 1 is not a string"):
        make_model().fit(*data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b"), Own()])


def test_best_weights_of_a_backup_are_those_of_one_fit(make_model, data, tmp_path):
    def listed():
        stopper = EarlyStopping("loss", patience=9, restore_best_weights=True)
        return stopper, BackupAndRestore(tmp_path / "b", delete_checkpoint=False)

    make_model().fit(*data, epochs=2, verbose=0, callbacks=listed())
    stopper, backup = listed()
    make_model().fit(*data, epochs=2, verbose=0, callbacks=[stopper, backup])
    assert stopper.best_weights is not None
    stopper.load_state_dict(stopper.state_dict())
    assert stopper._fitwatch.state.weights is None
