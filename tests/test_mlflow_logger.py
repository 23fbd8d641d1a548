"""MLflowLogger with a stand-in for mlflow; `tests/integrations` has the package itself."""

import contextlib
import copy
import math
import pickle
import sys
from types import SimpleNamespace

import keras
import mlflow_stand_in
import numpy as np
import pytest
from warned import no_warnings

import fitwatch
from fitwatch import Block, callbacks
from fitwatch._sinks.mlflow_run import MLflowRun

NAN, INF = math.nan, math.inf


@pytest.fixture
def mlflow(monkeypatch):
    for name in ("mlflow", "mlflow.entities"):
        monkeypatch.setitem(sys.modules, name, None)  # to be put back
    return mlflow_stand_in.install()


@pytest.fixture
def callback(stand_in):
    """Enough of a logger for a tracker."""
    model = stand_in()
    model.optimizer = keras.optimizers.SGD(0.25)
    model.summary = lambda print_fn: print_fn("a model")
    return SimpleNamespace(model=model)


def batches(first, last, *, time=1.5, **columns):
    """A block of batches whose loss is their step."""
    steps = np.arange(first, last + 1)
    return Block("batch", steps, steps * 0, steps * 0 + time, {"loss": steps / 1, **columns})


def row(kind, step, epoch=0, **values):
    return Block(kind, [step], [epoch], [1.5], {name: [value] for name, value in values.items()})


def begun(callback, run_id=None, state=None, log_params=False):
    run = MLflowRun(run_id, log_params)
    run.state = state or {}
    run.begin(callback)
    return run


def test_without_mlflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r"pip install 'fitwatch\[mlflow\]'"):
        callbacks.MLflowLogger()


@pytest.mark.parametrize("enabled", [False, True], ids=["stock list", "compiled"])
def test_a_fit(mlflow, make_model, data, enabled):
    with fitwatch.enabled() if enabled else contextlib.nullcontext():
        history = make_model().fit(
            *data,
            batch_size=10,
            epochs=2,
            validation_split=0.5,
            verbose=0,
            callbacks=[callbacks.MLflowLogger(every=2)],
        )
    (run,) = mlflow.runs.values()
    assert run.info.status == "FINISHED"
    assert not mlflow.active
    names = {"loss", "accuracy", "validation_loss", "validation_accuracy", "val_loss"}
    names |= {"val_accuracy", "epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert {point.key for point in run.points} == names
    assert run.steps("loss") == run.steps("accuracy") == [1, 2, 3, 4, 5, 6]
    assert run.steps("validation_loss") == [3, 6]
    assert run.values("validation_loss") == run.values("val_loss") == history.history["val_loss"]
    assert run.steps("val_loss") == run.steps("epoch_loss") == [0, 1]
    assert run.values("epoch_loss") == history.history["loss"]
    assert run.data.params["optimizer_momentum"] == "0.0"
    assert "dense" in run.files["model_summary.txt"]


def test_a_fit_that_fails(mlflow, make_model, data):
    def fail(batch, logs):
        if batch == 3:
            raise ZeroDivisionError

    both = [callbacks.MLflowLogger(), callbacks.LambdaCallback(on_train_batch_begin=fail)]
    with fitwatch.enabled(), pytest.raises(ZeroDivisionError):
        make_model().fit(*data, batch_size=10, verbose=0, callbacks=both)
    assert mlflow.runs["run0"].info.status == "FAILED"
    assert mlflow.runs["run0"].steps("loss") == [1, 2, 3]


def test_a_resumed_fit_goes_on_in_its_run(mlflow, make_model, data, tmp_path):
    """The backup is of batch 4; the run has points up to batch 5."""

    def fit(*more):
        backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2, exact=True)
        logger = callbacks.MLflowLogger(every=1)
        options = {"batch_size": 10, "shuffle": False, "verbose": 0, "epochs": 2}
        make_model().fit(*data, callbacks=[logger, backup, *more], **options)

    class Interrupts(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 5:
                raise KeyboardInterrupt

    with fitwatch.enabled():
        with pytest.raises(KeyboardInterrupt):
            fit(Interrupts())
        (run,) = mlflow.runs.values()
        assert run.steps("loss") == [1, 2, 3, 4, 5]
        fit()
    assert list(mlflow.runs.values()) == [run]
    assert run.steps("loss") == list(range(1, 13))
    assert run.steps("epoch_loss") == [0, 1]
    assert run.info.status == "FINISHED"


def test_the_next_fit_of_a_model_goes_on(mlflow, make_model, data):
    model = make_model()
    logger = callbacks.MLflowLogger(log_params=False)
    run = mlflow.start_run()
    with no_warnings():
        for _ in range(2):
            model.fit(*data, batch_size=20, verbose=0, callbacks=[logger])
    assert run.steps("loss") == [1, 2, 3, 4, 5, 6]
    assert run.steps("epoch_loss") == [0, 0]  # as MlflowCallback has it
    assert run.info.status == "RUNNING"


@pytest.mark.parametrize("counts", [False, True])
def test_a_logger_of_a_later_attempt(mlflow, make_model, data, tmp_path, counts):
    """A backup without a state of the logger: the steps are those of the optimizer still.

    The backup has the count of batches if a callback of that fit has used it.
    """
    options = {"batch_size": 20, "verbose": 0}
    backup = callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    others = [callbacks.BlockLogger(len)] if counts else []
    make_model().fit(*data, callbacks=[backup, *others], **options)
    backup = callbacks.BackupAndRestore(tmp_path / "backup")
    make_model().fit(*data, callbacks=[backup, callbacks.MLflowLogger()], epochs=2, **options)
    assert mlflow.runs["run0"].steps("loss") == [4, 5, 6]


@pytest.mark.parametrize(("given", "active"), [(True, False), (False, True), (True, True)])
def test_a_run_of_the_user_stays_open(mlflow, callback, given, active):
    first = mlflow.start_run()
    mlflow.end_run("RUNNING")
    second = mlflow.start_run() if active else None
    state = {"run_id": "another", "first": 0}
    run = begun(callback, first.info.run_id if given else None, state)
    run(batches(0, 2))
    run.end(failed=True)
    (used, unused) = (first, second) if given else (second, first)
    assert used.steps("loss") == [1, 2, 3]
    assert unused is None or not unused.points
    assert used.info.status == "RUNNING"
    assert mlflow.active == ([second] if active else [])


@pytest.mark.parametrize("failed", [False, True])
def test_a_run_of_its_own_is_active_and_ends(mlflow, callback, failed):
    run = begun(callback)
    assert mlflow.active_run() is mlflow.runs["run0"]
    run.end(failed=failed)
    assert mlflow.active_run() is None
    assert mlflow.runs["run0"].info.status == ("FAILED" if failed else "FINISHED")


def test_a_run_of_its_own_that_the_user_has_covered(mlflow, callback):
    run = begun(callback)
    mlflow.end_run("KILLED")
    other = mlflow.start_run()
    run.end(failed=False)
    assert mlflow.active == [other]
    assert mlflow.runs["run0"].info.status == "FINISHED"


def test_a_run_id_must_be_one(mlflow, callback):
    with pytest.raises(ValueError, match="run_id must be a run in nowhere; got 'nothing'"):
        begun(callback, "nothing")
    mlflow.start_run().info.lifecycle_stage = "deleted"
    with pytest.raises(ValueError, match="run_id must be a run that is not deleted; got 'run0'"):
        begun(callback, "run0")


def test_the_run_of_a_backup_is_gone(mlflow, callback):
    with pytest.warns(UserWarning, match="a new one begins: no run gone"):
        run = begun(callback, state={"run_id": "gone", "first": 3})
    run(batches(5, 6))
    assert run.state == {"run_id": "run0", "first": 3}
    assert mlflow.runs["run0"].steps("loss") == [9, 10]


def test_parameters_and_summary(mlflow, callback):
    run = mlflow.start_run()
    run.data.params["optimizer_learning_rate"] = "0.5"
    begun(callback, log_params=True)
    config = callback.model.optimizer.get_config()
    wanted = {f"optimizer_{name}": str(value) for name, value in config.items()}
    assert run.data.params == {**wanted, "optimizer_learning_rate": "0.5"}  # it cannot change
    assert run.files == {"model_summary.txt": "a model"}
    begun(callback, "run0", {"run_id": "run0", "first": 0}, log_params=True)
    assert len(run.data.params) == len(wanted)


def test_parameters_that_cannot_be_stored(mlflow, callback):
    mlflow.errors = {0: OSError("no room")}
    with pytest.warns(UserWarning, match="could not be stored: OSError"):
        run = begun(callback, log_params=True)
    run(batches(0, 0))
    assert mlflow.runs["run0"].steps("loss") == [1]


def test_as_few_calls_as_the_limit_allows(mlflow, callback):
    run = begun(callback)
    run(batches(0, 1499, accuracy=np.ones(1500), grad_norm=np.full(1500, NAN)))
    assert mlflow.calls == [1000, 1000, 1000]
    stored = mlflow.runs["run0"]
    assert stored.steps("loss") == stored.steps("accuracy") == list(range(1, 1501))
    assert stored.values("loss") == list(range(1500))
    assert {point.timestamp for point in stored.points} == {1500}


def test_values_that_are_not_finite(mlflow, callback):
    """NaN is no value in a block of batches, but for the loss."""
    run = begun(callback)
    block = batches(0, 2, loss=[0, NAN, 2], mae=[NAN, INF, 1])
    for one in (block, row("validation", 2, val_loss=NAN), row("epoch", 2, loss=NAN)):
        run(one)
    stored = mlflow.runs["run0"]
    np.testing.assert_equal(stored.values("loss"), [0, NAN, 2])
    assert (stored.steps("mae"), stored.values("mae")) == ([2, 3], [INF, 1])
    assert math.isnan(*stored.values("validation_loss"))
    assert math.isnan(*stored.values("epoch_loss"))


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a b/c-d.e:é", "a b/c-d.e:é"),
        (".hidden", ".hidden"),
        ("f1@0.5 (%)", "f1_0.5 ___"),
        ("/a//b", "_a__b"),
        ("../b", "_b"),
        ("..", "_"),
        ("x" * 251, "x" * 250),
    ],
)
def test_names(mlflow, callback, name, stored):
    run = begun(callback)
    warned = no_warnings() if name == stored else pytest.warns(UserWarning, match="refuses")
    with warned as caught:
        for first in (0, 1):
            run(batches(first, first, **{name: [0.5]}))
    assert caught is None or len(caught) == 1
    assert mlflow.runs["run0"].steps(stored) == mlflow.runs["run0"].steps("loss") == [1, 2]


def test_steps_begin_with_those_of_the_optimizer(mlflow, callback):
    callback.model.optimizer.iterations.assign(7)
    run = begun(callback)
    run(batches(0, 1))
    run(row("validation", 1, val_loss=0.5, test_loss=0.25))
    run(row("epoch", 1, epoch=3, loss=0.5, val_loss=0.5))
    steps = {point.key: point.step for point in mlflow.runs["run0"].points}
    assert steps == {
        "loss": 9,
        "validation_loss": 9,
        "test_loss": 9,
        "epoch_loss": 3,
        "val_loss": 3,
    }


def test_a_resumed_run_has_no_point_twice(mlflow, callback):
    run = begun(callback)
    run(batches(0, 4))
    run(row("validation", 4, val_loss=0.5))  # and the process is killed
    state, stored = pickle.loads(pickle.dumps(run.state)), mlflow.runs["run0"]
    mlflow.end_run("FAILED")
    with no_warnings():
        run = begun(callback, state=state)
        assert stored.info.status == "RUNNING"
        for block in (batches(2, 4), row("validation", 4, val_loss=0.5), batches(5, 6)):
            run(block)
        run(row("epoch", 6, loss=0.5))
    assert stored.steps("loss") == [1, 2, 3, 4, 5, 6, 7]
    assert stored.steps("validation_loss") == [5]
    assert stored.steps("epoch_loss") == [0]


def test_another_training_in_the_same_run(mlflow, callback):
    run = begun(callback)
    run(batches(0, 4))
    again = begun(callback, "run0")
    with pytest.warns(UserWarning, match="the run run0 has points up to step 5") as caught:
        for block in (batches(0, 2), batches(3, 6)):
            again(block)
    assert len(caught) == 1
    assert mlflow.runs["run0"].steps("loss") == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_in_the_middle(mlflow, callback):
    """The blocks come in another order then; the calls that were made are not made again."""
    mlflow.errors = {1: OSError("gone"), 3: OSError("gone")}
    run = begun(callback)
    first, second = batches(0, 1999), batches(2000, 3999)
    for block in (first, second):
        with pytest.raises(OSError, match="gone"):
            run(block)
    run(first)
    run(second)
    assert mlflow.calls == [1000, 1000, 1000, 1000]
    assert sorted(mlflow.runs["run0"].steps("loss")) == list(range(1, 4001))


def test_copies_and_pickles(mlflow, make_model, data):
    logger = callbacks.MLflowLogger(columns=["loss"])
    for one in (logger, copy.deepcopy(logger), pickle.loads(pickle.dumps(logger))):
        make_model().fit(*data, verbose=0, callbacks=[one])
        assert (one.run_id, one.columns) == (None, ["loss"])
    assert [run.steps("loss") for run in mlflow.runs.values()] == [[1, 2]] * 3
