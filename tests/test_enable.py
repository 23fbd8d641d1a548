"""enable(), disable() and enabled(): what they replace and restore."""

import itertools
import pickle
import sys

import keras
import pytest
from catalogue import ALONE
from keras.callbacks import EarlyStopping as Imported

import fitwatch
from fitwatch import callbacks

STOCK = {name: getattr(keras.callbacks, name) for name in callbacks.__all__ if name not in ALONE}
OURS = {
    name: getattr(callbacks, name) for name in STOCK if getattr(callbacks, name) is not STOCK[name]
}
TRAINERS = [
    (cls, m)
    for cls in keras.Model.__mro__
    for m in ("fit", "evaluate", "predict")
    if m in vars(cls)
]


def state():
    import keras.src.callbacks as lookup

    names = [getattr(keras.callbacks, name) for name in STOCK]
    tf_names = [getattr(keras._tf_keras.keras.callbacks, name) for name in STOCK]
    return [*names, *tf_names, *vars(lookup).values(), *(vars(cls)[m] for cls, m in TRAINERS)]


@pytest.fixture(autouse=True)
def put_back():
    before = state()
    yield
    fitwatch.disable()
    assert all(a is b for a, b in zip(state(), before, strict=True))


def test_ipython_loads_and_unloads_it():
    fitwatch.load_ipython_extension(None)
    assert keras.callbacks.EarlyStopping is callbacks.EarlyStopping
    fitwatch.unload_ipython_extension(None)
    assert keras.callbacks.EarlyStopping is Imported


def test_names_are_replaced_and_put_back():
    before = state()
    fitwatch.enable()
    for name, ours in OURS.items():
        assert getattr(keras.callbacks, name) is ours
        assert getattr(keras._tf_keras.keras.callbacks, name) is ours
    fitwatch.enable()  # once more changes nothing
    fitwatch.disable()
    assert all(a is b for a, b in zip(state(), before, strict=True))
    fitwatch.disable()


def test_the_block_restores_what_was_before():
    with fitwatch.enabled():
        assert keras.callbacks.TensorBoard is callbacks.TensorBoard
        with fitwatch.enabled(max_lag=3):
            assert callbacks.CallbackList([]).max_lag == 3
        assert keras.callbacks.TensorBoard is callbacks.TensorBoard
        assert callbacks.CallbackList([]).max_lag == 16
    assert keras.callbacks.TensorBoard is STOCK["TensorBoard"]
    with pytest.raises(ZeroDivisionError), fitwatch.enabled():
        raise ZeroDivisionError
    assert keras.callbacks.TensorBoard is STOCK["TensorBoard"]


def test_max_lag_of_enable_holds_for_lists_that_say_nothing():
    fitwatch.enable(max_lag=5)
    assert callbacks.CallbackList([]).max_lag == 5
    assert callbacks.CallbackList([], max_lag=0).max_lag == 0
    fitwatch.disable()
    assert callbacks.CallbackList([]).max_lag == 16


@pytest.mark.parametrize("max_lag", [-1, 2.5, None])
def test_a_wrong_max_lag_changes_nothing(max_lag):
    with pytest.raises((TypeError, ValueError), match="max_lag"):
        fitwatch.enable(max_lag=max_lag)
    assert keras.callbacks.TensorBoard is STOCK["TensorBoard"]


def test_an_unsupported_keras_is_named_and_left_alone(monkeypatch):
    before = state()
    monkeypatch.delattr(sys.modules[TRAINERS[0][0].__module__], "callbacks_module")
    with pytest.raises(RuntimeError, match=rf"Keras {keras.__version__} .*tested with Keras 3"):
        fitwatch.enable()
    assert all(a is b for a, b in zip(state(), before, strict=True))


def test_a_fit_that_a_tool_has_replaced_before(make_model, data, monkeypatch, tmp_path):
    """As MLflow's autologging does: a `Model.fit` of its own, which calls the trainer's."""
    trainers_fit = keras.Model.fit
    called = []

    def fit(self, *args, **kwargs):
        called.append(self)
        return trainers_fit(self, *args, **kwargs)

    def batches():
        yield data
        raise OSError("the disk is gone")

    def fails(model):
        board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
        with pytest.raises(Exception, match="the disk is gone"):
            model.fit(batches(), steps_per_epoch=4, verbose=0, callbacks=[board])
        # Which only what is around the whole fit can tell it.
        assert not board._fitwatch.nested.fitting

    monkeypatch.setattr(keras.Model, "fit", fit, raising=False)
    model = make_model()
    with fitwatch.enabled():
        fails(model)
        assert called == [model]
    assert keras.Model.fit is fit
    with fitwatch.enabled():
        monkeypatch.undo()  # deletes it, as the tool does when it is switched off
        fails(model)
    assert called == [model]
    assert keras.Model.fit is trainers_fit


def test_every_run_builds_the_compiled_list(make_model, data):
    built = []

    class Spy(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            built.append(self)

    model = make_model()
    hooks = dict.fromkeys(["on_train_batch_end", "on_test_batch_end", "on_predict_batch_end"])
    for hook in hooks:
        hooks[hook] = lambda batch, logs, hook=hook: built.append((hook, type(logs).__name__))
    seen = keras.callbacks.LambdaCallback()
    vars(seen).update(hooks)
    with fitwatch.enabled():
        model.fit(*data, verbose=0, callbacks=[seen])
        model.evaluate(*data, verbose=0, callbacks=[seen])
        model.predict(data[0], verbose=0, callbacks=[seen])
    assert set(built) == {(hook, "Logs") for hook in hooks}
    built.clear()
    model.fit(*data, verbose=0, callbacks=[seen])
    assert {kind for _, kind in built} == {"dict"}


def test_a_stock_list_made_by_hand_is_taken_as_it_is(make_model, data):
    model = make_model()
    stock = STOCK["CallbackList"]([], add_history=True, model=model)
    with fitwatch.enabled():
        history = model.fit(*data, verbose=0, callbacks=stock)
    assert history is stock._history


def test_instances_from_before_go_on_working(make_model, data):
    """They are instances of Keras's class, not of the class that has its name after enable()."""
    stopping = Imported("loss", patience=0)

    class Mine(Imported):
        pass

    mine = Mine("loss")
    with fitwatch.enabled():
        assert isinstance(stopping, Imported)
        assert isinstance(keras.callbacks.EarlyStopping("loss"), Imported)
        assert not isinstance(stopping, keras.callbacks.EarlyStopping)
        make_model().fit(*data, epochs=3, verbose=0, callbacks=[stopping, mine])
    assert mine.wait == 0


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_classes_are_plain_as_those_of_keras(name):
    """A metaclass of its own would be in the way of a subclass that has one."""
    import abc
    import typing

    class Plain(type):
        pass

    class Named(typing.Protocol):
        name: str

    def plain():
        class Sub(getattr(keras.callbacks, name), metaclass=Plain):
            pass

        class Abstract(getattr(keras.callbacks, name), abc.ABC):
            pass

        class Protocol(getattr(keras.callbacks, name), Named):
            pass

        return Sub, Abstract, Protocol

    for found in (OURS[name], STOCK[name]):
        assert type(found) is type
    with fitwatch.enabled():
        assert type(keras.callbacks.__dict__[name]) is type
        assert all(issubclass(cls, OURS[name]) for cls in plain())
    assert all(issubclass(cls, STOCK[name]) for cls in plain())


def test_a_list_with_a_progress_bar_from_before_has_no_second_one(make_model, data, capsys):
    bar, history = STOCK["ProgbarLogger"](), STOCK["History"]()
    with fitwatch.enabled():
        built = callbacks.CallbackList(
            [bar, history], add_history=True, add_progbar=True, model=make_model()
        )
    assert built.callbacks == [bar, history]


ARGUMENTS = {"BackupAndRestore": ["."], "CSVLogger": ["log.csv"], "LearningRateScheduler": [min]}


@pytest.mark.parametrize("name", sorted(set(OURS) - {"ModelCheckpoint", "CallbackList"}))
def test_pickles_load_with_and_without(name):
    arguments = ARGUMENTS.get(name, [])
    stock = pickle.dumps(STOCK[name](*arguments))
    with fitwatch.enabled():
        assert type(pickle.loads(stock)) is STOCK[name]
        ours = pickle.dumps(getattr(keras.callbacks, name)(*arguments))
    assert type(pickle.loads(ours)) is OURS[name]


def test_what_somebody_else_has_replaced_since_stays():
    fitwatch.enable()
    keras.callbacks.CSVLogger = str
    keras.callbacks.TensorBoard = int
    try:
        fitwatch.disable()
        assert keras.callbacks.CSVLogger is str
        assert keras.callbacks.TensorBoard is int
    finally:
        keras.callbacks.CSVLogger = STOCK["CSVLogger"]
        keras.callbacks.TensorBoard = STOCK["TensorBoard"]


def fits(make_model, data, tmp_path, capsys, enable):
    """A run with much on: its history, its output and its files."""
    import contextlib
    import re

    with fitwatch.enabled() if enable else contextlib.nullcontext():
        folder = tmp_path / str(enable)
        model = make_model()
        history = model.fit(
            *data,
            validation_split=0.25,
            epochs=3,
            batch_size=7,
            shuffle=False,
            verbose=1,
            callbacks=[
                keras.callbacks.EarlyStopping("loss", patience=1, verbose=1),
                keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1, verbose=1),
                keras.callbacks.ModelCheckpoint(
                    folder / "{epoch}.weights.h5", save_weights_only=True
                ),
                keras.callbacks.CSVLogger(folder.with_suffix(".csv")),
                keras.callbacks.TerminateOnNaN(),
            ],
        )
        evaluated = model.evaluate(*data)
        predicted = model.predict(data[0]).shape
    out = capsys.readouterr().out
    # Numbers of time differ, and how often the bar is drawn; the last state of each bar counts.
    lines = [line.split("\b")[-1].split("\r")[-1] for line in out.splitlines()]
    lines = [re.sub(r" *\x1b\[1m\d+s\x1b\[0m \d+[mu]?s/step", " TIME", line) for line in lines]
    lines = [line.rstrip() for line in lines]  # a shorter time is padded
    bars = re.compile(r"\x1b\[1m(\d+)/(\d+)")
    lines = [x for x in lines if x and (not (bar := bars.match(x)) or bar[1] == bar[2])]
    # The last batch of a slow epoch is drawn before its validation too.
    lines = [x for x in lines if "/7" not in x or "val_" in x]
    lines = [x for x, _ in itertools.groupby(lines)]
    files = sorted(path.name for path in folder.iterdir())
    return history.history, history.params, history.epoch, evaluated, predicted, lines, files


def test_a_run_is_the_same_with_and_without(make_model, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    without = fits(make_model, data, tmp_path, capsys, False)
    enabled = fits(make_model, data, tmp_path, capsys, True)
    assert "\n".join(enabled[5]) == "\n".join(without[5])
    assert enabled == without
    assert "Epoch 1/3" in enabled[5]
    assert (tmp_path / "True.csv").read_text() == (tmp_path / "False.csv").read_text()


def test_the_data_fails(make_model, data, tmp_path):
    """No callback sees that, but the files are complete, and the next run is a run of its own."""
    from event_reader import read

    def batches():
        for start in range(0, 30, 10):
            yield data[0][start : start + 10], data[1][start : start + 10]
        raise OSError("the disk is gone")

    with fitwatch.enabled():
        board = keras.callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
        model = make_model()
        with pytest.raises(Exception, match="the disk is gone"):
            model.fit(batches(), steps_per_epoch=4, verbose=0, callbacks=[board])
        assert len(read(tmp_path / "train")["batch_loss"][2]) in (2, 3)
        assert not board._fitwatch.nested.fitting
        other = make_model()
        other.evaluate(*data, verbose=0, callbacks=[board])
        assert board._model is other


def test_a_thread_of_its_own(make_model, data):
    import threading

    result = []

    def fit():
        result.append(make_model().fit(*data, verbose=0).history)

    with fitwatch.enabled():
        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()
    assert "loss" in result[0]


def test_names_of_a_subclass_do_not_collide(make_model, data, tmp_path):
    """Names that users may choose themselves."""
    with fitwatch.enabled():

        class Board(keras.callbacks.TensorBoard):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self._files = self._core = self._recorder = self._drained = []

            def _compile(self):
                raise AssertionError

            _flush = _drain = _abandon = _compile

        class Stopping(keras.callbacks.EarlyStopping):
            _core = _abandon = _compile = _drain = "cpu0"

        boards = [Board(tmp_path, update_freq="batch"), Stopping("loss")]
        make_model().fit(*data, verbose=0, callbacks=boards)


def test_a_failed_evaluation_inside_a_fit_leaves_its_files_open(make_model, data, tmp_path):
    board = callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    other = make_model()
    other.evaluate(*data, verbose=0)

    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            fail = keras.callbacks.LambdaCallback()
            fail.on_test_batch_end = lambda batch, logs: 1 / 0
            with pytest.raises(ZeroDivisionError):
                other.evaluate(*data, verbose=0, callbacks=[board, fail])

    model = make_model()
    with fitwatch.enabled():
        model.fit(*data, epochs=3, verbose=0, callbacks=[board, Evaluates()])
    assert len(list((tmp_path / "train").glob("*fitwatch*"))) == 1
