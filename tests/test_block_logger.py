"""BlockLogger: which blocks an action gets, and how they are delivered."""

import gc
import os
import threading
import time
import warnings

import health
import keras
import numpy as np
import pytest
from crashes import Crashes

import fitwatch
from fitwatch import Block, callbacks
from fitwatch._sinks import at_exit, delivery
from fitwatch._sinks.tracker import Tracker
from fitwatch.callbacks import BackupAndRestore, BlockLogger, LossHistory

BACKEND = keras.config.backend()
SIZE, BATCHES = 4, 25
KINDS = pytest.mark.parametrize("kind", ["compiled", "stock"])


@pytest.fixture(autouse=True)
def short_times(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(delivery, "PAUSES", (0.01,))
    monkeypatch.setattr(delivery, "LAST_PAUSE", 0.01)
    monkeypatch.setattr(delivery, "DEADLINE", 0.5)


def data(batches=BATCHES):
    x = np.random.default_rng(0).normal(size=(batches * SIZE, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def model(**options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], **options)
    return model


@pytest.fixture(scope="module")
def trained():
    """One for all: what a backend has compiled is used again."""
    return model()


def fit(trained, *listed, kind="compiled", epochs=1, **options):
    callback_list = health.LISTS[kind](
        listed, model=trained, verbose=0, epochs=epochs, steps=BATCHES, add_history=True
    )
    options = {"batch_size": SIZE, "shuffle": False, "verbose": 0, **options}
    return trained.fit(*data(), epochs=epochs, callbacks=callback_list, **options)


def of_ours(caught):
    """The warnings of BlockLogger: Keras on torch has others."""
    return [one for one in caught if "BlockLogger" in str(one.message)]


class Takes:
    """An action that keeps its blocks, after as many errors as it is told."""

    def __init__(self, errors=0):
        self.blocks, self.errors, self.threads = [], errors, set()

    def __call__(self, block):
        self.threads.add(threading.current_thread())
        if self.errors:
            self.errors -= 1
            raise OSError("the store is away")
        self.blocks.append(block)

    def of(self, kind):
        return [block for block in self.blocks if block.kind == kind]

    def column(self, name, kind="batch"):
        return np.concatenate([block[name] for block in self.of(kind)])


@KINDS
def test_all_batches_in_order(trained, kind):
    takes, history = Takes(), LossHistory(columns=["mae"])
    logger = BlockLogger(takes, every=10, columns="all")
    logs = fit(trained, logger, history, kind=kind, epochs=2, validation_data=data(5)).history
    assert [(block.kind, block.rows, int(block["step"][0])) for block in takes.blocks] == [
        ("batch", 10, 0),
        ("batch", 10, 10),
        ("batch", 5, 20),
        ("validation", 1, 24),
        ("epoch", 1, 24),
        ("batch", 10, 25),
        ("batch", 10, 35),
        ("batch", 5, 45),
        ("validation", 1, 49),
        ("epoch", 1, 49),
    ]
    np.testing.assert_array_equal(takes.column("step"), np.arange(50))
    np.testing.assert_array_equal(takes.column("epoch"), np.repeat([0, 1], 25))
    np.testing.assert_array_equal(takes.column("loss").astype("float32"), history.losses)
    np.testing.assert_array_equal(takes.column("mae").astype("float32"), history.column("mae"))
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert takes.column(name, "epoch").tolist() == logs[name]
    assert takes.column("val_mae", "validation").tolist() == logs["val_mae"]
    assert takes.of("validation")[0].columns == ["val_loss", "val_mae"]
    assert takes.column("learning_rate", "epoch").tolist() == pytest.approx([0.01, 0.01])
    times = np.concatenate([block["wall_time"] for block in takes.blocks])
    assert (np.diff(times) >= -0.5).all()  # the times of batches are estimated
    assert abs(times[-1] - time.time()) < 60
    assert [(str(block["step"].dtype), str(block["loss"].dtype)) for block in takes.blocks[:1]] == [
        ("int64", "float64")
    ]


@pytest.mark.skipif(BACKEND == "torch", reason="one batch a call")
@KINDS
def test_several_batches_in_a_call(kind):
    trained, takes, history = model(steps_per_execution=4), Takes(), LossHistory()
    fit(trained, BlockLogger(takes, every=10), history, kind=kind, epochs=2)
    np.testing.assert_array_equal(takes.column("step"), np.arange(50))
    np.testing.assert_array_equal(takes.column("loss").astype("float32"), history.losses)
    # The mean over the epoch is known after each call; the last one of an epoch has one batch.
    known = ~np.isnan(takes.column("mae"))
    assert np.flatnonzero(known).tolist() == [3, 7, 11, 15, 19, 23, 24, 28, 32, 36, 40, 44, 48, 49]


def test_columns_are_what_others_ask_for(trained):
    """The other metrics are means over the epoch, unless a callback takes those of batches."""
    alone, beside, named = Takes(), Takes(), Takes()
    fit(trained, BlockLogger(alone))
    weights = trained.get_weights()
    fit(
        trained,
        BlockLogger(beside),
        BlockLogger(named, columns=["mae", "learning_rate"]),
        callbacks.LearningRateMonitor(),
    )
    (block,) = alone.of("batch")
    assert block.columns == ["loss", "mae"]
    assert beside.of("batch")[0].columns == ["loss", "mae", "learning_rate"]
    assert named.of("batch")[0].columns == ["mae", "learning_rate"]
    # One value of a batch, as the second one takes it, is that of both.
    np.testing.assert_array_equal(beside.column("mae"), named.column("mae"))
    trained.set_weights(weights)
    means = Takes()
    fit(trained, BlockLogger(means))
    expected = np.cumsum(beside.column("mae")) / np.arange(1, BATCHES + 1)
    assert means.column("mae")[0] == pytest.approx(expected[0], rel=1e-5)
    assert not np.allclose(means.column("mae"), beside.column("mae"), rtol=1e-3)


def test_a_column_that_is_not_there(trained):
    takes = Takes()
    with pytest.warns(UserWarning, match=r"no numeric 'f1'. Available: loss, mae") as caught:
        fit(trained, BlockLogger(takes, columns=["loss", "f1"]), epochs=2)
    assert len(of_ours(caught)) == 1
    assert np.isnan(takes.column("f1")).all()


def test_a_block_that_is_old_enough(trained):
    takes = Takes()
    slow = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.02))
    fit(trained, slow, BlockLogger(takes, seconds=0.01))
    assert len(takes.of("batch")) >= BATCHES // 3
    assert takes.column("step").tolist() == list(range(25))


def test_validations_inside_an_epoch(trained):
    takes = Takes()
    fit(
        trained,
        BlockLogger(takes),
        callbacks.Validation(every=10, validation_data=data(2), name="test"),
    )
    assert [(b.kind, b["step"].tolist()[-1]) for b in takes.blocks] == [
        ("batch", 9),
        ("validation", 9),
        ("batch", 19),
        ("validation", 19),
        ("batch", 24),
        ("epoch", 24),
    ]
    assert takes.of("validation")[0].columns == ["test_loss", "test_mae"]


def test_a_loop_of_the_users():
    takes = Takes()
    logger = BlockLogger(takes, every=2, columns=["loss"])
    logger.on_train_begin()
    for epoch in range(2):
        for batch in range(3):
            logger.on_train_batch_end(batch, {"loss": epoch + batch / 10, "lr": "high"})
        logger.on_epoch_end(epoch, {"loss": 1.0, "text": "no number"})
    logger.on_train_end()
    assert takes.column("step").tolist() == [0, 1, 2, 3, 4, 5]
    assert takes.column("epoch").tolist() == [0, 0, 0, 1, 1, 1]
    assert takes.column("loss").tolist() == [0, 0.1, 0.2, 1, 1.1, 1.2]
    assert takes.column("step", "epoch").tolist() == [2, 5]
    assert takes.of("epoch")[0].columns == ["loss"]


def test_a_process_that_does_not_write(trained, monkeypatch):
    monkeypatch.setattr("fitwatch._distributed.callback.is_writer", lambda model: False)
    takes = Takes()
    fit(trained, BlockLogger(takes), validation_data=data(2))
    assert takes.blocks == []


def test_a_block_is_a_mapping():
    block = Block("batch", [3], [0], [1.5], {"loss": [0.5], "step": [9]})
    assert dict(block).keys() == {"step", "epoch", "wall_time", "loss"}
    assert block["step"].tolist() == [3]  # no metric replaces it
    assert (len(block), block.rows, block.columns, block.nbytes) == (4, 1, ["loss"], 32)
    assert block in [block]
    with pytest.raises(ValueError, match="read-only"):
        block["loss"][0] = 1
    assert block != Block("batch", [3], [0], [1.5], {"loss": [0.5]})
    assert "1 rows of step, epoch, wall_time, loss" in repr(block)


# Delivery.


@pytest.mark.parametrize("background", [True, False])
def test_an_error_is_reported_once_and_no_block_is_lost(trained, background):
    takes = Takes(errors=3)
    logger = BlockLogger(takes, every=5, background=background)
    with pytest.warns(UserWarning, match="BlockLogger: the action has raised") as caught:
        fit(trained, logger, epochs=2)
    assert len(of_ours(caught)) == 1
    assert "Traceback" in str(of_ours(caught)[0].message)
    assert "OSError: the store is away" in str(of_ours(caught)[0].message)
    assert of_ours(caught)[0].filename == __file__
    assert takes.column("step").tolist() == list(range(50))
    assert (threading.current_thread() in takes.threads) is not background
    assert len(takes.threads) == 1


@pytest.mark.parametrize("background", [True, False])
def test_a_block_that_is_refused_holds_up_no_other_at_the_end(trained, background):
    takes = Takes()

    def refuses(block):
        if block["step"][0] == 5:
            raise ValueError(block)
        takes(block)

    with pytest.warns(UserWarning, match="BlockLogger") as caught:
        fit(trained, BlockLogger(refuses, every=5, background=background))
    assert "lost 5 rows (steps 5 to 9): the action has raised" in str(of_ours(caught)[-1].message)
    assert takes.column("step").tolist() == [*range(5), *range(10, 25)]
    assert len(takes.of("epoch")) == 1


def test_an_action_that_hangs_is_left_behind(trained):
    took, goes_on = [], threading.Event()

    def hangs(block):
        took.append(block)
        if len(took) == 2:
            goes_on.wait(20)

    began = time.monotonic()
    with pytest.warns(UserWarning, match="has taken none for 0.5 s") as caught:
        fit(trained, BlockLogger(hangs, every=10))
    assert time.monotonic() - began < 15
    assert "lost 16 rows (steps 10 to 24)" in str(of_ours(caught)[0].message)
    goes_on.set()
    time.sleep(0.1)
    assert len(took) == 2  # no later block is delivered to a fit that is over


def test_a_slow_action_is_waited_for(trained):
    takes = Takes()

    def slow(block):
        time.sleep(0.2)
        takes(block)

    fit(trained, BlockLogger(slow, every=5))
    assert takes.column("step").tolist() == list(range(25))


def test_what_waits_is_bounded(trained, monkeypatch):
    """A row has 40 bytes: two blocks of five fit."""
    monkeypatch.setattr(delivery, "BOUND", 400)
    takes = Takes(errors=10**9)
    with pytest.warns(UserWarning, match="BlockLogger") as caught:
        fit(trained, BlockLogger(takes, every=5))
    messages = [str(one.message) for one in caught]
    assert sum("are waiting for it" in one for one in messages) == 1
    assert "left out from step 10 on" in " ".join(messages)
    assert any("lost 10 rows (steps 0 to 9)" in one for one in messages)
    assert any("left out 16 rows (steps 10 to 24)" in one for one in messages)


def test_a_warning_that_is_an_error_does_not_end_the_training(trained):
    takes = Takes(errors=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(trained, BlockLogger(takes))
    assert takes.column("step").tolist() == list(range(25))


def test_a_block_larger_than_the_bound(trained, monkeypatch):
    monkeypatch.setattr(delivery, "BOUND", 400)
    takes = Takes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(trained, BlockLogger(takes, every=100, background=False))
    assert takes.column("step").tolist() == list(range(25))


def test_ctrl_c_while_the_last_blocks_are_delivered(monkeypatch):
    """A warning says what is lost, and the run of a tracker ends."""
    ended = []

    class Hangs(Tracker):
        def __call__(self, block):
            time.sleep(0.3)

        def end(self, *, failed):
            ended.append(failed)

    def interrupt(self, thread):
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery.Delivery, "_wait", interrupt)
    logger = BlockLogger(Hangs())
    logger.on_train_begin()
    for batch in range(3):
        logger.on_train_batch_end(batch, {"loss": 1.0})
    message = r"lost 3 rows \(steps 0 to 2\): the wait for the action was interrupted"
    with pytest.warns(UserWarning, match=message), pytest.raises(KeyboardInterrupt):
        logger.on_train_end()
    assert len(ended) == 1


def test_a_child_of_a_fork_delivers_nothing(monkeypatch):
    takes = Takes()
    logger = BlockLogger(takes, background=False)
    logger.on_train_begin()
    logger.on_train_batch_end(0, {"loss": 1.0})
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        logger.on_train_end()
    assert takes.blocks == []


def test_a_logger_that_nobody_holds_delivers_when_the_program_ends(trained):
    """A list of Keras's does not tell about the exception that has ended its fit."""
    takes = Takes()
    logger = BlockLogger(takes, every=10, background=False)
    with pytest.raises(InterruptedError):
        fit(trained, logger, Crashes(after=13), kind="stock")
    del logger
    gc.collect()
    at_exit._complete()
    assert takes.column("step").tolist() == list(range(13))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_everything_is_delivered_when_a_fit_ends_early(trained, error):
    takes = Takes()

    class Ends(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 12:
                raise error

    with fitwatch.enabled(), pytest.raises(error):
        trained.fit(
            *data(), batch_size=SIZE, verbose=0, callbacks=[BlockLogger(takes, every=5), Ends()]
        )
    assert takes.column("step").tolist() == list(range(13))


def test_a_logger_is_used_again(trained):
    """Also after a fit that has ended without a hook."""
    takes = Takes()
    logger = BlockLogger(takes, every=10)
    with pytest.raises(InterruptedError):
        trained.fit(*data(), batch_size=SIZE, verbose=0, callbacks=[logger, Crashes(after=13)])
    fit(trained, logger)
    assert takes.column("step").tolist() == [*range(13), *range(25)]


# Resume.


class Away(Takes):
    """An action that takes a number of blocks, and no more."""

    def __init__(self, takes):
        super().__init__()
        self.left = takes

    def __call__(self, block):
        if not self.left:
            raise OSError("gone")
        self.left -= 1
        super().__call__(block)


def test_a_damaged_state_has_a_block_without_rows():
    logger = BlockLogger(Takes())
    columns = {"step": "", "epoch": "", "wall_time": ""}
    state = logger.state_dict() | {"waiting": [{"kind": "batch", "columns": columns}]}
    with pytest.raises(ValueError, match="waiting must be a list of blocks"):
        logger.load_state_dict(state)


@KINDS
def test_steps_of_a_backup_that_is_made_before_the_list_counts(kind, tmp_path):
    """The batch after the resume has a step of its own, though its epoch begins again."""
    after = Takes()

    def run(action, *others):
        backup = BackupAndRestore(tmp_path / "backup", save_freq=10)
        logger = BlockLogger(action, every=4, background=False)
        fit(model(), logger, backup, *others, kind=kind, epochs=2)

    with pytest.raises(InterruptedError):
        run(Takes(), Crashes(after=33))
    run(after)
    assert after.column("step").tolist() == list(range(29, 55))


@pytest.mark.filterwarnings("ignore:BlockLogger")
@pytest.mark.parametrize("delivered", [0, 1, 3])
def test_a_resumed_run_delivers_what_was_not(delivered, tmp_path):
    """Every step is there, with the values of an uninterrupted run."""
    expected, before, after = Takes(), Away(delivered), Takes()

    def run(action, *others):
        trained = model()
        backup = BackupAndRestore(tmp_path / f"{id(expected)}", save_freq=10, exact=True)
        logger = BlockLogger(action, every=4, background=False)
        with fitwatch.enabled():
            trained.fit(
                *data(), batch_size=SIZE, epochs=2, verbose=0, callbacks=[logger, backup, *others]
            )

    run(expected)
    with pytest.raises(InterruptedError):
        run(before, Crashes(after=38))
    run(after)
    steps = after.column("step").tolist()
    if delivered:
        # The blocks in the last backup, after 30 batches, and those after it.
        first = int(before.column("step")[-1]) + 1
        assert steps == list(range(first, 50))
    else:
        assert steps == list(range(50))
    known = {
        step: loss
        for one in (before, after)
        if one.of("batch")
        for step, loss in zip(one.column("step"), one.column("loss"), strict=True)
    }
    assert [known[step] for step in range(50)] == expected.column("loss").tolist()
