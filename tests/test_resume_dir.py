"""`python -m fitwatch run --resume-dir`: fits of an unchanged script are backed up and resumed."""

import json
import threading
import warnings

import keras
import numpy as np
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import callbacks
from fitwatch.__main__ import main
from fitwatch._cli import arguments, fit_backup
from fitwatch._cli.resume_dir import ResumeDir

X = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
BATCHES = 24  # in an epoch, with a batch size of 2


class Dies(keras.callbacks.Callback):
    """Fails at a batch, counted from 0 in its fit; and notes the batches that are trained."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.seen, self.epoch = at, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.epoch * BATCHES + batch)
        if self.seen[-1] == self.at:
            raise InterruptedError


def make_model(rate=0.01, dropout=0.2):
    layers = keras.layers
    model = keras.Sequential([layers.Dense(4), layers.Dropout(dropout), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """As many backups as there can be, however long one takes."""
    monkeypatch.setattr(fit_backup, "_SECONDS_OFF", 0)


def script(folder, work, *, interval=0.0):
    """Runs a script with a resume folder; what it returns."""
    keras.utils.set_random_seed(3)
    with fitwatch.enabled(), ResumeDir(str(folder), interval).used():
        return work()


def two_fits(first=None, second=None):
    """A script without an Input, a seed of its own or a callback of fitwatch's."""

    def work():
        model = make_model()
        one, two = Dies(first), Dies(second)
        stopping = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
        before = model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[one, stopping])
        other = make_model()
        after = other.fit(X, Y, batch_size=2, epochs=3, verbose=0, callbacks=[two])
        return {
            "epochs": [before.epoch, after.epoch],
            "losses": [before.history["loss"], after.history["loss"]],
            "weights": [*model.get_weights(), *other.get_weights()],
            "optimizers": [
                np.asarray(keras.ops.convert_to_numpy(variable))
                for one in (model, other)
                for variable in one.optimizer.variables
            ],
            "seen": [one.seen, two.seen],
        }

    return work


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The script that nothing has interrupted, and no backup."""
    keras.utils.set_random_seed(3)
    with fitwatch.enabled():
        return two_fits()()


@pytest.mark.parametrize(("first", "second"), [(35, None), (None, 5), (None, 40)])
def test_what_was_interrupted_ends_as_if_it_had_not_been(first, second, whole, tmp_path):
    folder = tmp_path / "resume"
    with pytest.raises(InterruptedError):
        script(folder, two_fits(first, second))
    with no_warnings():
        found = script(folder, two_fits())
    assert found["epochs"] == whole["epochs"] == [[0, 1], [0, 1, 2]]
    assert found["losses"] == whole["losses"]
    for name in ("weights", "optimizers"):
        for one, other in zip(found[name], whole[name], strict=True):
            np.testing.assert_array_equal(one, other)
    # Backups are made after every tenth batch, and at the ends of epochs.
    assert found["seen"][0] == ([] if second else list(range(30, 48)))
    assert found["seen"][1] == list(range({None: 0, 5: 0, 40: 40}[second], 72))
    assert not folder.exists()


def simple(model=None, **options):
    """One fit, of which the data can be restored."""

    def work():
        one = model or make_model()
        given = {"batch_size": 2, "epochs": 2, "verbose": 0, **options}
        x, y = given.pop("x", X), given.pop("y", Y)
        return one.fit(x, y, **given)

    return work


def killed_after(work):
    """The script, and then an exception in the rest of it."""

    def both():
        work()
        raise InterruptedError

    return both


def test_a_fit_that_has_ended_is_not_trained_again(tmp_path):
    """Whatever has ended it: the best weights are restored, and the rate is the reduced one."""

    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["value"] = [3.0, 1.0, 2.0, 4.0][epoch]
            self.model.stop_training = epoch == self.last

    def work(last):
        def train():
            stops = Stops()
            stops.last = last
            listed = [
                stops,
                keras.callbacks.EarlyStopping(
                    "value", patience=2, mode="min", restore_best_weights=True
                ),
                keras.callbacks.ReduceLROnPlateau("value", mode="min", patience=1, factor=0.5),
                Dies(),
            ]
            model = make_model()
            history = model.fit(X, Y, batch_size=2, epochs=9, verbose=0, callbacks=listed)
            found.append((history.epoch, history.history, model.get_weights()[0], listed[-1].seen))
            found[-1] += (float(model.optimizer.learning_rate),)

        return train

    for last, epochs in ((2, 3), (99, 4)):
        found = []
        folder = tmp_path / str(last)
        with pytest.raises(InterruptedError):
            script(folder, killed_after(work(last)))
        with no_warnings():
            script(folder, work(last))
        once, again = found
        assert len(once[0]) == epochs
        assert again[:2] == once[:2]
        np.testing.assert_array_equal(again[2], once[2])
        assert (again[3], again[4]) == ([], once[4])


def test_random_states_after_a_fit_that_is_not_trained_again(tmp_path):
    def work():
        simple()()
        drawn.append(float(np.random.uniform()))

    drawn = []
    with pytest.raises(InterruptedError):
        script(tmp_path / "resume", killed_after(work))
    script(tmp_path / "resume", work)
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("options", [{"epochs": 0}, {"initial_epoch": 1, "epochs": 3}])
def test_first_and_last_epochs(options, tmp_path):
    def work(at=None):
        dies = Dies(at)
        epochs = simple(callbacks=[dies], **options)().epoch
        return epochs, dies.seen

    ended = script(tmp_path / "whole", work)
    if options["epochs"]:
        with pytest.raises(InterruptedError):
            script(tmp_path / "resume", lambda: work(60))
        epochs, seen = script(tmp_path / "resume", work)
        assert (epochs, seen[0]) == (ended[0], 54)
    else:
        assert ended == ([], [])


def generated(model):
    """Data whose order is not known."""
    while True:
        yield X[:2], Y[:2]


def test_an_order_that_cannot_be_restored(tmp_path):
    """Epochs are backed up, with the history; one warning says so."""

    def work(at=None):
        histories = []
        for _ in range(2):
            model = make_model()
            dies = Dies(at if histories else None)
            data = generated(model)
            histories.append(
                model.fit(data, steps_per_epoch=BATCHES, epochs=3, verbose=0, callbacks=[dies])
            )
        return [history.epoch for history in histories], dies.seen

    match = "fit 1 is backed up at the ends of epochs"
    with pytest.warns(UserWarning, match=match) as warned, pytest.raises(InterruptedError):
        script(tmp_path / "resume", lambda: work(60))
    assert sum("ends of epochs" in str(one.message) for one in warned) == 1
    with pytest.warns(UserWarning, match="ends of epochs"):
        epochs, seen = script(tmp_path / "resume", work)
    assert epochs == [[0, 1, 2]] * 2
    assert seen == list(range(48, 72))


def test_a_list_with_a_backup_of_its_own_is_left_alone(tmp_path):
    own = callbacks.BackupAndRestore(tmp_path / "own", delete_checkpoint=False)
    model = make_model()
    model.build((None, 3))
    work = killed_after(simple(model, callbacks=[own]))
    with pytest.raises(InterruptedError):
        script(tmp_path / "resume", work)
    assert (tmp_path / "own").exists()
    assert list((tmp_path / "resume").iterdir()) == []


def test_fits_inside_of_fits_are_repeated_with_the_outer_one(tmp_path):
    class Trains(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            simple(epochs=1)()
            self.model.evaluate(X, Y, verbose=0)
            self.model.predict(X[:2], verbose=0)

    def work(at=None):
        simple(callbacks=[Trains(), Dies(at)])()
        simple()()
        raise KeyboardInterrupt

    with pytest.raises(InterruptedError):
        script(tmp_path, lambda: work(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1"]
    with pytest.raises(KeyboardInterrupt):
        script(tmp_path, work)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_loop_of_fits(tmp_path):
    def work(last):
        seen = []
        for rate in (0.1, 0.01, 0.001)[:last]:
            dies = Dies()
            simple(make_model(rate), callbacks=[dies])()
            seen.append(len(dies.seen))
        if last < 3:
            raise InterruptedError
        return seen

    with pytest.raises(InterruptedError):
        script(tmp_path, lambda: work(2))
    assert script(tmp_path, lambda: work(3)) == [0, 0, 48]


def test_the_same_model_in_two_fits(tmp_path):
    """The rate that the first one has reduced is the one of the second, also when it is resumed."""

    def work(at=None):
        model = make_model()
        plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9, min_lr=1e-9)
        simple(model, callbacks=[plateau])()
        history = simple(model, initial_epoch=2, epochs=4, callbacks=[Dies(at)])()
        return history.epoch, history.history, float(model.optimizer.learning_rate)

    whole = script(tmp_path / "whole", work)
    for _ in range(2):
        with pytest.raises(InterruptedError):
            script(tmp_path / "resume", lambda: work(80))
    assert script(tmp_path / "resume", work) == whole
    assert whole[2] < 0.01


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: simple(make_model(rate=0.5)), "optimizer"),
        (lambda: simple(make_model(dropout=0.5)), "layers"),
        (lambda: simple(epochs=7), "epochs"),
        (lambda: simple(batch_size=4), "batches"),
    ],
)
def test_another_script_is_refused(other, named, tmp_path):
    with pytest.raises(InterruptedError):
        script(tmp_path, killed_after(simple()))
    with pytest.raises(ValueError, match=rf"1 is the backup of another fit\(\): its {named} was"):
        script(tmp_path, other())


def test_other_threads_are_not_backed_up(tmp_path):
    def work():
        for _ in range(2):
            thread = threading.Thread(target=simple(epochs=1))
            thread.start()
            thread.join()
        raise InterruptedError

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(InterruptedError):
            script(tmp_path, work)
    assert sum("other threads and processes" in str(one.message) for one in warned) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_built_trains_without_a_backup(tmp_path, monkeypatch):
    def fails(model, iterator):
        raise RuntimeError("Unable to automatically build the model.")

    monkeypatch.setattr(fit_backup.data, "build_model", fails)
    with pytest.warns(UserWarning, match="fit 1 is not backed up: Unable to automatically build"):
        history = script(tmp_path, simple())
    assert history.epoch == [0, 1]


def test_a_backup_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fitwatch._checkpoint.backup_file.write", full)
    with pytest.warns(
        UserWarning, match=r"--resume-dir: .*1 cannot be written.*No space"
    ) as warned:
        history = script(tmp_path, simple())
    assert history.epoch == [0, 1]
    assert sum("cannot be written" in str(one.message) for one in warned) == 1


@pytest.mark.parametrize(
    ("code", "is_kept"), [(None, False), (0, False), (1, True), ("no data", True), (143, True)]
)
def test_the_exit_status_tells_whether_backups_are_kept(code, is_kept, tmp_path):
    (tmp_path / "notes.txt").write_text("of the user")
    resume_dir = ResumeDir(str(tmp_path), 0.0)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "fit.json").write_text("{}")
    (tmp_path / "2").mkdir()
    with pytest.raises(SystemExit), resume_dir.used():
        raise SystemExit(code)
    assert (tmp_path / "1").exists() == is_kept
    assert (tmp_path / "2").exists()
    assert (tmp_path / "notes.txt").exists()


def test_a_script_may_delete_the_folder_itself(tmp_path):
    folder = tmp_path / "resume"
    with ResumeDir(str(folder), 0.0).used():
        folder.rmdir()


def test_backups_cost_little_time(tmp_path, monkeypatch):
    """One in so many seconds, and the last one."""
    now = [0.0]
    monkeypatch.setattr(fit_backup.time, "monotonic", lambda: now[0])
    saved = []
    write = fit_backup.BackupFolder.save

    def save(folder, model, backup, **options):
        saved.append((backup.state["epoch"], backup.state["trained"]))
        now[0] += took
        write(folder, model, backup, **options)

    monkeypatch.setattr(fit_backup.BackupFolder, "save", save)

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now[0] += 1

    took = 0
    script(tmp_path, simple(callbacks=[Clock()], epochs=3), interval=25)
    assert saved == [(1, 6), (2, 12), (3, 0)]
    saved.clear()
    took = 2
    monkeypatch.setattr(fit_backup, "_SECONDS_OFF", 20)
    script(tmp_path, simple(callbacks=[Clock()], epochs=3), interval=10)
    assert saved == [(0, 10), (2, 2), (3, 0)]


COMMANDS = {
    "run a.py": (["run", "a.py"], []),
    "run a.py --resume-dir b -x": (["run", "a.py"], ["--resume-dir", "b", "-x"]),
    "run --resume-dir b a.py --c": (["run", "--resume-dir", "b", "a.py"], ["--c"]),
    "run --save-interval 5 --resume-dir=b a.py -- c": (
        ["run", "--save-interval", "5", "--resume-dir=b", "a.py"],
        ["--", "c"],
    ),
    "run": (["run"], []),
    "run --resume-dir": (["run", "--resume-dir"], []),
    "run -- a.py c": (["run", "--", "a.py"], ["c"]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_come_before_the_script(command):
    assert arguments.split(command.split()) == COMMANDS[command]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("run", "one of the arguments script -m is required"),
        ("run --resume-dir x", "one of the arguments script -m is required"),
        ("run --resume x a.py", "unrecognized arguments: --resume"),
        ("run --save-interval 5 a.py", "--save-interval is for --resume-dir"),
        ("run --resume-dir x --save-interval -1 a.py", "a number of seconds, 0 or more; got '-1'"),
        ("run --resume-dir x --save-interval nan a.py", "a number of seconds, 0 or more"),
        ("run --resume-dir gs://x a.py", "must be a folder on this machine; got 'gs://x'"),
        ("run --resume-dir /dev/null/x a.py", "--resume-dir cannot be"),
    ],
)
def test_a_command_that_makes_no_sense(command, problem, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


def test_what_identifies_a_fit_is_json(tmp_path):
    with pytest.raises(InterruptedError):
        script(tmp_path, killed_after(simple()))
    known = json.loads((tmp_path / "1" / "fit.json").read_text())
    assert known["model"] == "Sequential"
    assert known["optimizer"][0] == "Adam"
    assert (known["epochs"], known["batches"]) == (2, BATCHES)
