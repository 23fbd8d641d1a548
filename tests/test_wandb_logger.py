"""WandbLogger, with a stand-in for wandb. `tests/integrations` has the tests with the package."""

import copy
import math
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import wandb_stand_in
from wandb_stand_in import Run

import fitwatch
from fitwatch import callbacks
from fitwatch._keras.wandb_history import BulkLog
from fitwatch._sinks import at_exit
from fitwatch._sinks.block import Block
from fitwatch._sinks.wandb_run import WandbRun


def begun(run, state=None):
    tracker = WandbRun(run)
    tracker.state = state or {}
    tracker.begin(None)
    return tracker


def batches(first, last, **columns):
    steps = np.arange(first, last)
    values = {name: np.asarray(value, float) for name, value in columns.items()}
    return Block("batch", steps, steps // 4, 1e9 + steps, values or {"loss": steps / 10})


def one_row(kind, step, epoch, **values):
    return Block(kind, [step], [epoch], [1e9], {name: [value] for name, value in values.items()})


@pytest.fixture
def fit(make_model, data):
    model = make_model()

    def fit(*listed, epochs=1):
        options = {"batch_size": 4, "verbose": 0, "validation_data": data}
        return model.fit(*data, epochs=epochs, callbacks=list(listed), **options)

    return fit


def test_two_fits(fit):
    """Every batch, validation and epoch, under the names of WandbMetricsLogger."""
    run = Run()
    logger, losses, states = callbacks.WandbLogger(run, every=3), callbacks.LossHistory(), []
    listed = [
        logger,
        losses,
        callbacks.LearningRateMonitor(),
        callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: states.append(logger.state_dict()["tracker"])
        ),
    ]
    history = fit(*listed, epochs=2).history
    logged = run.values("batch/loss")
    assert logged == [(step, pytest.approx(loss)) for step, loss in enumerate(losses.losses)]
    count = len(losses.losses)
    assert [step for step, _ in run.values("batch/learning_rate")] == [*range(count)]
    assert run.values("epoch/val_loss") == list(enumerate(map(pytest.approx, history["val_loss"])))
    assert [step for step, _ in run.values("batch/val_loss")] == [count // 2 - 1, count - 1]
    assert [epoch for epoch, _ in run.values("epoch/learning_rate")] == [0, 1]
    assert run.defined == {
        "batch/batch_step": None,
        "batch/*": "batch/batch_step",
        "epoch/epoch": None,
        "epoch/*": "epoch/epoch",
    }
    assert logger.state_dict()["tracker"] == {}

    # The second one counts on, though it does not resume the first one.
    fit(*listed)
    assert [step for step, _ in run.values("batch/loss")] == [*range(count + count // 2)]
    assert [epoch for epoch, _ in run.values("epoch/loss")] == [0, 1, 0]
    assert states == [{"run": "one", "first": 0, "epoch": None}] * 2 + [
        {"run": "one", "first": count, "epoch": 1}
    ]


def test_the_active_run_is_looked_up_when_training_begins(monkeypatch, fit):
    package = wandb_stand_in.module()
    monkeypatch.setitem(sys.modules, "wandb", package)
    logger = callbacks.WandbLogger()
    with pytest.raises(RuntimeError, match=r"has no run: call wandb.init\(\) before fit\(\)"):
        fit(logger)
    package.run = Run()
    logger.action.begin(logger)
    logger.action(batches(0, 2))
    assert package.run.rows


def test_another_fit_counts_on_without_a_summary():
    """Where the server makes the summary, the run does not know it."""
    run = Run()
    tracker = begun(run)
    tracker(batches(0, 4))
    tracker.end(failed=False)
    run.summary = {}
    tracker.begin(None)
    tracker(batches(0, 4))
    assert [step for step, _ in run.values("batch/loss")] == [*range(8)]


def test_a_run_that_is_finished():
    run = Run("ended")
    run.is_finished = True
    with pytest.raises(RuntimeError, match=r"cannot log to the run ended: the run is finished"):
        begun(run)


@pytest.mark.parametrize("package", [None, SimpleNamespace(__path__=["./wandb"])])
def test_without_the_package(monkeypatch, package):
    """None: no such module. A folder of offline runs passes for a module, too."""
    monkeypatch.setitem(sys.modules, "wandb", package)
    with pytest.raises(ImportError, match=r"pip install 'fitwatch\[wandb\]'"):
        callbacks.WandbLogger()
    callbacks.WandbLogger(Run())


def test_values_that_are_missing():
    run = Run()
    tracker = begun(run)
    tracker(batches(0, 3, loss=[1, math.nan, 3], accuracy=[math.nan, 0.5, math.nan]))
    tracker(one_row("epoch", 2, 0, loss=1.0, val_loss=math.nan))
    assert [step for step, _ in run.values("batch/loss")] == [0, 1, 2]
    assert math.isnan(run.values("batch/loss")[1][1])
    assert run.values("batch/accuracy") == [(1, 0.5)]
    assert math.isnan(run.values("epoch/val_loss")[0][1])
    assert [row["_timestamp"] for row in run.rows] == [1e9, 1e9 + 1, 1e9 + 2, 1e9]


def test_no_row_comes_twice_after_an_error():
    """Neither with the same block at once, nor after another one."""
    run = Run()
    tracker = begun(run)
    block, later = batches(0, 4), batches(4, 6)
    run.takes = 2
    for _ in range(2):
        with pytest.raises(ConnectionError):
            tracker(block)
    run.takes = None
    tracker(later)
    tracker(block)
    tracker(block)  # the delivery does not do this; then it is another block
    steps = [step for step, _ in run.values("batch/loss")]
    assert steps == [0, 1, 4, 5, 2, 3, 0, 1, 2, 3]


def resumed(run, state, last):
    """The rows that a resumed training adds, which begins again with step 4."""
    again = Run(run.id)
    again.summary = dict(run.summary)
    tracker = begun(again, state)
    tracker(batches(4, 8))
    tracker(one_row("validation", 7, 1, val_loss=0.5))
    tracker(one_row("epoch", 7, 1, loss=0.25))
    tracker(batches(8, last))
    return [
        next(name for name in ("batch/val_loss", "batch/loss", "epoch/loss") if name in row)
        for row in again.rows
    ], again


@pytest.mark.parametrize("had", range(8))
def test_a_resumed_run_gets_what_it_does_not_have(had):
    """It had some of these: the batches 4 to 7, a validation, an epoch, and more batches."""
    run = Run()
    tracker = begun(run)
    state = dict(tracker.state)
    tracker(batches(0, 4))
    tracker(one_row("epoch", 3, 0, loss=0.5))
    rows = [*((batches(step, step + 1)) for step in range(4, 8))]
    rows += [one_row("validation", 7, 1, val_loss=0.5), one_row("epoch", 7, 1, loss=0.25)]
    rows += [batches(8, 9), batches(9, 10)]
    for row in rows[:had]:
        tracker(row)
    names, again = resumed(run, state, 10)
    expected = ["batch/loss"] * 4 + ["batch/val_loss", "epoch/loss"] + ["batch/loss"] * 2
    assert names == expected[had:]
    both = run.values("batch/loss") + again.values("batch/loss")
    assert [step for step, _ in both] == [*range(10)]


def test_the_last_epoch_of_an_earlier_fit_is_not_taken_for_this_one():
    run = Run()
    first = begun(run)
    first(batches(0, 4))
    first(one_row("epoch", 3, 0, loss=0.5))
    second = begun(run)
    second(batches(0, 4))  # of another fit, which ends before its epoch 0 is logged
    third = begun(run, second.state)
    third(one_row("epoch", 3, 0, loss=0.4))
    assert run.values("epoch/loss") == [(0, 0.5), (0, 0.4)]
    assert [step for step, _ in run.values("batch/loss")] == [*range(8)]


def test_a_resumed_training_in_another_run_goes_on_with_its_steps():
    state = begun(Run("one")).state
    run = Run("two")
    begun(run, state)(batches(4, 6))
    assert [step for step, _ in run.values("batch/loss")] == [4, 5]


def test_a_resumed_fit(fit, tmp_path):
    """It begins at a backup from before the error, and logs what the run does not have."""

    def fails(batch, logs=None):
        fails.batches += 1
        if fails.batches == 9:
            raise KeyError("nine")

    fails.batches = 0
    run = Run()
    backup = str(tmp_path / "backup")
    with fitwatch.enabled():
        with pytest.raises(KeyError):
            fit(
                callbacks.BackupAndRestore(backup, save_freq=7, exact=True),
                callbacks.WandbLogger(run, every=3),
                callbacks.LambdaCallback(on_train_batch_end=fails),
                epochs=2,
            )
        assert [step for step, _ in run.values("batch/loss")] == [*range(9)]
        resumes = callbacks.BackupAndRestore(backup, save_freq=7, exact=True)
        fit(resumes, callbacks.WandbLogger(run), epochs=2)
    assert [step for step, _ in run.values("batch/loss")] == [*range(30)]
    assert [epoch for epoch, _ in run.values("epoch/loss")] == [0, 1]


def test_what_waits_is_delivered_before_wandb_ends(monkeypatch):
    """Where a fit has failed in a list of Keras's, that is when the program ends."""
    ends = [at_exit._complete, "wandb"]  # as registered: of an earlier fit
    monkeypatch.setattr(
        at_exit, "atexit", SimpleNamespace(register=ends.append, unregister=ends.remove)
    )
    at_exit.call_at_exit(Run(), "log")
    assert ends == ["wandb", at_exit._complete]


def test_a_copy_has_the_run():
    logger = callbacks.WandbLogger(Run("mine"), every=10)
    for again in (copy.deepcopy(logger), pickle.loads(pickle.dumps(logger))):
        again.action.begin(again)
        assert again.action.state["run"] == "mine"


class BulkRun(Run):
    """A run with the internals of wandb, which may have changed in several ways."""

    def __init__(self, fault=None):
        super().__init__()
        self.settings = SimpleNamespace(x_history_value_encoding="json")
        self.bulk = []
        self.calls = 0
        if fault != "no interface":
            self._interface = SimpleNamespace(
                _assign=lambda record: None,
                _client=SimpleNamespace(publish=self._publish),
                _asyncer=SimpleNamespace(run=self._run_in_loop),
            )
        self.fault = fault

    @property
    def step(self):
        return len(self.rows)

    def _run_in_loop(self, function):
        self.calls += 1
        coroutine = function()
        with pytest.raises(StopIteration):
            coroutine.send(None)

    async def _publish(self, message):
        if self.fault == "raises" and len(self.bulk) == 5:
            self.takes = 0 if self.takes is not None else None
            raise ConnectionResetError
        self.bulk.append(message)
        if self.fault != "stores nothing":
            super().log(message)


@pytest.fixture
def without_messages(monkeypatch):
    """Messages are the rows themselves: wandb's own need the package."""

    def bulk_log(run):
        log = object.__new__(BulkLog)
        log.connect(run)
        log._message = dict
        return log

    monkeypatch.setattr("fitwatch._sinks.wandb_run.BulkLog", bulk_log)


@pytest.mark.parametrize("fault", [None, "no interface", "raises", "stores nothing"])
def test_many_rows_at_once_or_one_by_one(without_messages, fault):
    """Where wandb's internals have changed, every row comes once, by the public method."""
    run = BulkRun(fault)
    tracker = begun(run)
    for first in (0, 2500):
        tracker(batches(first, first + 2500))
    assert [step for step, _ in run.values("batch/loss")] == [*range(5000)]
    assert run.calls == {None: 6, "no interface": 0}.get(fault, 1)
