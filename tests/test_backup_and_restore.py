"""BackupAndRestore: a backup is found, checked and deleted."""

import copy
import os

import keras
import numpy as np
import pytest
from crashes import content, crash, metadata

import fitwatch
from fitwatch.callbacks import BackupAndRestore, CSVLogger, EarlyStopping, History


def test_it_goes_on_where_it_was(make_model, data, tmp_path):
    crash(make_model(), data, BackupAndRestore(tmp_path / "b"))
    assert metadata(tmp_path / "b")["epoch"] == 2
    resumed = make_model().fit(
        *data, epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")]
    )
    assert resumed.epoch == [2, 3]
    assert not (tmp_path / "b").exists()


def test_keras_goes_on_from_ours_and_we_from_keras_s(make_model, data, tmp_path):
    for ours, theirs in (
        (BackupAndRestore, keras.callbacks.BackupAndRestore),
        (keras.callbacks.BackupAndRestore, BackupAndRestore),
    ):
        folder = tmp_path / ours.__module__
        model = make_model(optimizer="adam")
        crash(model, data, ours(folder))
        other = make_model(optimizer="adam")
        resumed = other.fit(*data, epochs=3, verbose=0, callbacks=[theirs(folder), Sees()])
        assert resumed.epoch == [2]
        for one, two in zip(Sees.first, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


class Sees(keras.callbacks.Callback):
    """Keeps the weights that the first epoch begins with."""

    first = None

    def on_train_begin(self, logs=None):
        Sees.first = None

    def on_epoch_begin(self, epoch, logs=None):
        if Sees.first is None:
            Sees.first = self.model.get_weights()


def test_the_next_fit_begins_where_it_is_told_to(make_model, data, tmp_path):
    """In Keras it runs no epoch at all, silently."""
    crash(make_model(), data, BackupAndRestore(tmp_path / "b"))
    model = make_model()
    model.fit(*data, epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
    assert model.fit(*data, epochs=2, verbose=0).epoch == [0, 1]


def test_the_next_fit_does_so_after_a_run_that_had_nothing_left_to_do(make_model, data, tmp_path):
    backup = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    make_model().fit(*data, epochs=3, verbose=0, callbacks=[backup])
    model = make_model()
    assert model.fit(*data, epochs=3, verbose=0, callbacks=[backup]).epoch == []
    assert model.fit(*data, epochs=2, verbose=0).epoch == [0, 1]


def test_a_finished_run_goes_on_when_more_epochs_are_asked_for(make_model, data, tmp_path):
    """Also a stopped one: a new call of `fit()` asks for more training."""
    for stop in (0, 100):
        folder = tmp_path / str(stop)
        listed = [
            BackupAndRestore(folder, delete_checkpoint=False),
            EarlyStopping("loss", patience=1, min_delta=stop),
        ]
        first = make_model().fit(*data, epochs=2, verbose=0, callbacks=listed)
        again = make_model().fit(*data, epochs=4, verbose=0, callbacks=[listed[0]])
        assert again.epoch == list(range(len(first.epoch), 4))


def test_a_run_that_was_stopped_but_could_not_end_is_over(make_model, data, tmp_path):
    """Keras would train another epoch."""

    class Dies(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise InterruptedError

    def listed():
        stopper = EarlyStopping("loss", patience=1, min_delta=9, restore_best_weights=True)
        return stopper, BackupAndRestore(tmp_path / "b")

    first = make_model()
    stopper, backup = listed()
    with pytest.raises(InterruptedError):
        first.fit(*data, epochs=9, verbose=0, callbacks=[Dies(), stopper, backup])
    model = make_model()
    again, backup = listed()
    assert model.fit(*data, epochs=9, verbose=0, callbacks=[again, backup]).epoch == []
    assert again.stopped_epoch == stopper.stopped_epoch == 1
    for one, two in zip(model.get_weights(), stopper.best_weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_another_model_is_refused_and_nothing_is_changed(make_model, data, tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    crash(make_model(), data, logger, BackupAndRestore(tmp_path / "b"))
    before, rows = content(tmp_path / "b"), (tmp_path / "log.csv").read_bytes()

    wider = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    wider.compile("sgd", "sparse_categorical_crossentropy")
    listed = [logger, BackupAndRestore(tmp_path / "b")]
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    nested = keras.Sequential([keras.Input((4,)), inner])
    layers = [keras.layers.Dropout(0.5), keras.layers.Dense(2, activation="softmax")]
    seeded = keras.Sequential([keras.Input((4,)), *layers])
    for model in (nested, seeded):
        model.compile("sgd", "sparse_categorical_crossentropy")
    for model, message in (
        (nested, ""),
        (seeded, "its seeds differ: the model has 1 variables"),
        (wider, r"kernel is float32 \(4, 3\) in the model, and float32 \(4, 2\)"),
        (make_model(optimizer="adam"), "the model has Adam, the backup is of SGD"),
    ):
        weights = model.get_weights()
        with pytest.raises(ValueError, match=message):
            model.fit(*data, verbose=0, callbacks=listed)
        assert content(tmp_path / "b") == before
        assert (tmp_path / "log.csv").read_bytes() == rows
        for one, two in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_another_version_is_refused(make_model, data, tmp_path, monkeypatch):
    from fitwatch._checkpoint import backup_file

    with monkeypatch.context() as later:
        later.setattr(backup_file, "VERSION", 7)
        crash(make_model(), data, BackupAndRestore(tmp_path / "b"))
    before = content(tmp_path / "b")
    with pytest.raises(ValueError, match=r"version 7 .*knows version 1"):
        make_model().fit(*data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
    assert content(tmp_path / "b") == before


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_backup_is_told_of_and_left_alone(make_model, data, tmp_path):
    crash(make_model(), data, BackupAndRestore(tmp_path / "b"))
    damage(tmp_path / "b" / "latest.weights.h5")
    before = content(tmp_path / "b")
    with pytest.raises(OSError, match=r"damaged.*checksum.*Delete"):
        make_model().fit(*data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])
    assert content(tmp_path / "b") == before


def test_the_one_before_it_is_taken(make_model, data, tmp_path):
    crash(make_model(), data, BackupAndRestore(tmp_path / "b", double_checkpoint=True), at=3)
    good = (tmp_path / "b" / "latest.weights.h5.bkp").read_bytes()
    damage(tmp_path / "b" / "latest.weights.h5")
    with pytest.warns(UserWarning, match="the last backup is damaged"):
        # The damaged one must not become the one before.
        crash(make_model(), data, BackupAndRestore(tmp_path / "b", double_checkpoint=True), at=2)
    assert (tmp_path / "b" / "latest.weights.h5.bkp").read_bytes() == good
    with pytest.warns(UserWarning, match="the last backup is damaged"):
        resumed = make_model().fit(
            *data,
            epochs=4,
            verbose=0,
            callbacks=[BackupAndRestore(tmp_path / "b", double_checkpoint=True)],
        )
    assert resumed.epoch == [2, 3]


def test_a_model_that_is_not_built_is_refused(data, tmp_path):
    if keras.config.backend() != "tensorflow":
        pytest.skip("the trainer builds it before")
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="model must be built"):
        model.fit(*data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])


def test_what_else_is_in_the_folder_stays(make_model, data, tmp_path):
    """Keras deletes it."""
    (tmp_path / "notes.txt").write_text("mine")
    backup = BackupAndRestore(tmp_path, double_checkpoint=True)
    make_model().fit(*data, epochs=2, verbose=0, callbacks=[backup])
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_state_that_is_no_json_is_refused(make_model, data, tmp_path):
    class Own(keras.callbacks.Callback):
        def state_dict(self):
            return {"values": np.zeros(2)}

        def load_state_dict(self, state):
            pass

    with pytest.raises(TypeError, match=r"state_dict\(\) of Own must be one that json can write"):
        make_model().fit(*data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b"), Own()])


def test_a_callback_that_is_gone_is_told_of(make_model, data, tmp_path):
    crash(make_model(), data, BackupAndRestore(tmp_path / "b"), EarlyStopping("loss", patience=9))
    with pytest.warns(UserWarning, match=r"a state of EarlyStopping\(loss\), which is not in"):
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])


def test_the_history_is_that_of_this_fit_unless_it_is_exact(make_model, data, tmp_path):
    for exact, epochs in ((False, [2, 3]), (True, [0, 1, 2, 3])):
        for compiled in (True, False):
            folder = tmp_path / f"{exact}{compiled}"
            with fitwatch.enabled() if compiled else keras.name_scope("stock"):
                crash(make_model(), data, BackupAndRestore(folder, exact=exact))
                resumed = make_model().fit(
                    *data, epochs=4, verbose=0, callbacks=[BackupAndRestore(folder, exact=exact)]
                )
            assert isinstance(resumed, History) == compiled
            assert resumed.epoch == epochs
            assert len(resumed.history["loss"]) == len(epochs)


def test_seeds_of_random_layers_go_on(data, tmp_path):
    def make():
        layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        model = keras.Sequential(layers)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.set_weights([np.ones_like(w) for w in model.get_weights()])
        return model

    x, y = data
    arguments = {"x": x, "y": y, "shuffle": False, "verbose": 0}
    keras.utils.set_random_seed(1)
    whole = make()
    whole.fit(**arguments, epochs=4)
    keras.utils.set_random_seed(1)
    crash(make(), data, BackupAndRestore(tmp_path / "b"), shuffle=False)
    keras.utils.set_random_seed(5)
    resumed = make()
    resumed.fit(**arguments, epochs=4, callbacks=[BackupAndRestore(tmp_path / "b")])
    for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_never_means_never(make_model, data, tmp_path):
    make_model().fit(
        *data, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b", save_freq=False)]
    )
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("steps", [1] if keras.config.backend() == "torch" else [1, 4])
def test_batches_are_counted_by_the_batch(make_model, data, tmp_path, steps):
    """With `steps_per_execution` Keras counts the first call as one batch less."""
    saved = []

    class Watches(BackupAndRestore):
        def _save_model(self):
            saved.append(self._fitwatch.trained)
            super()._save_model()

    model = make_model(steps_per_execution=steps)
    model.fit(
        *data, batch_size=5, epochs=2, verbose=0, callbacks=[Watches(tmp_path / "b", save_freq=8)]
    )
    assert saved == [8, 4, 12]


def test_a_loop_of_ones_own(make_model, data, tmp_path):
    """Without a list, it saves when its hooks are called."""
    model = make_model()
    model.fit(*data, verbose=0)
    backup = BackupAndRestore(tmp_path / "b")
    backup.set_model(model)
    backup.on_train_begin()
    backup.on_epoch_begin(0)
    backup.on_epoch_end(0)
    assert metadata(tmp_path / "b")["epoch"] == 1
    assert (tmp_path / "b" / "latest.weights.h5").exists()


def test_a_copy_of_the_list_backs_up_by_itself(make_model, data, tmp_path):
    model = make_model()
    backup = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    original = fitwatch.CallbackList([backup], add_history=True, model=model)
    twin = copy.deepcopy(original)
    twin.set_model(model)
    model.fit(*data, epochs=1, verbose=0, callbacks=twin)
    assert metadata(tmp_path / "b")["epoch"] == 1
    assert (twin.callbacks[0]._current_epoch, backup._current_epoch) == (1, 0)
