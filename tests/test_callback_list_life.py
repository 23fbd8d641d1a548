"""Callbacks in a compiled list: the logs they see, copies, exceptions, fits."""

import copy
import gc
import itertools
import pickle
import weakref

import keras
import numpy as np
import pytest
from event_reader import read
from scalars import backend_scalar

import fitwatch
from fitwatch import callbacks


class Writer(keras.callbacks.Callback):
    def __init__(self, **written):
        super().__init__()
        self.written = written

    def on_train_batch_end(self, batch, logs=None):
        logs.update(self.written)


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))


def test_what_a_callback_writes_is_seen_by_later_ones_and_not_by_earlier_ones():
    histories = [callbacks.LossHistory() for _ in range(4)]
    seen = [Seen(), Seen()]
    callback_list = callbacks.CallbackList(
        [
            histories[0],
            seen[0],
            Writer(loss=backend_scalar(7.0)),
            histories[1],
            Writer(loss=8.0, extra=1),
            Writer(loss=np.float32(9.0)),
            histories[2],
            seen[1],
            Writer(other=1),
            histories[3],
        ]
    )
    for batch in range(3):
        callback_list.on_train_batch_end(batch, {"loss": backend_scalar(batch)})
    assert [list(history.losses) for history in histories] == [
        [0, 1, 2],
        [7, 7, 7],
        [9, 9, 9],
        [9, 9, 9],
    ]
    assert seen[0].logs == [{"loss": 0.0}, {"loss": 1.0}, {"loss": 2.0}]
    assert seen[1].logs == [{"loss": 9.0, "extra": 1}] * 3


def test_a_loop_may_reuse_its_dict():
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    logs = {}
    for batch in range(5):
        logs["loss"] = backend_scalar(batch)
        callback_list.on_train_batch_end(batch, logs)
    logs.clear()
    assert list(history.losses) == [0, 1, 2, 3, 4]


def test_names_may_change_from_batch_to_batch():
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    batches = [{"loss": 1}, {"a": 0, "loss": 2}, {"loss": 3, "z": {"loss": 4}}, {"loss": 5}]
    for batch, logs in enumerate(batches):
        callback_list.on_train_batch_end(batch, logs)
    assert list(history.losses) == [1, 2, 4, 5]


def test_a_missing_loss_is_reported_as_without_the_list():
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    with pytest.warns(UserWarning, match="no numeric 'loss'.* Available: mae") as caught:
        for batch in range(3):
            callback_list.on_train_batch_end(batch, {"mae": 1})
        callback_list._recorder.drain()
    assert len(caught) == 1
    callback_list.on_train_batch_end(3, {"loss": "1.5"})
    assert list(history.losses) == [1.5]


def test_reading_an_attribute_brings_it_up_to_date():
    history = callbacks.LossHistory()
    read = []
    reader = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: read.append(list(history.losses))
    )
    callback_list = callbacks.CallbackList([history, reader])
    for batch in range(3):
        callback_list.on_train_batch_end(batch, {"loss": backend_scalar(batch)})
    assert read == [[0], [0, 1], [0, 1, 2]]


def test_an_exception_of_a_callback_is_its_own():
    error = ValueError("mine")

    def fail(batch, logs):
        raise error

    history = callbacks.LossHistory()
    failing = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    callback_list = callbacks.CallbackList([history, failing])
    with pytest.raises(ValueError, match="mine") as caught:
        callback_list.on_train_batch_end(0, {"loss": 1.0})
    assert caught.value is error
    assert caught.traceback[-1].name == "fail"
    assert len(history._fitwatch.record.series) == 1  # without its being asked


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_train_end"])
def test_an_exception_leaves_the_files_of_others_complete(tmp_path, make_model, data, hook):
    board = callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    fail = keras.callbacks.LambdaCallback(**{hook: lambda *_, **__: 1 / 0})
    model = make_model()
    callback_list = callbacks.CallbackList([board, fail], add_history=True, model=model)
    # Outside of enabled(), TensorFlow's default writer would stay, as it does with Keras.
    with fitwatch.enabled(), pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=callback_list)
    batches = 1 if hook == "on_train_batch_end" else 2
    assert len(read(tmp_path / "train")["batch_loss"][2]) == batches


each_copy = pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda callback_list: pickle.loads(pickle.dumps(callback_list))],
    ids=["copy", "deepcopy", "pickle"],
)


@each_copy
def test_a_copy_shares_nothing(copied):
    history = callbacks.LossHistory()
    original = callbacks.CallbackList([history], add_history=True, max_lag=3, epochs=2)
    original.on_train_batch_end(0, {"loss": 1.0})
    twin = copied(original)
    assert twin.max_lag == 3
    assert twin.params == {"epochs": 2}
    assert type(twin.callbacks[0]) is callbacks.LossHistory
    assert twin._history in twin.callbacks
    assert twin._recorder is not original._recorder
    assert twin.on_train_batch_end.__self__ is twin._recorder
    twin.callbacks.append(keras.callbacks.Callback())
    assert len(original.callbacks) == 2
    if copied is not copy.copy:
        twin.on_train_batch_end(1, {"loss": 2.0})
        assert list(history.losses) == [1.0]
        assert list(twin.callbacks[0].losses) == [1.0, 2.0]


def test_a_hook_set_on_the_list_itself_is_kept_in_a_copy():
    original = callbacks.CallbackList([])
    original.on_train_batch_end = print
    assert copy.copy(original).on_train_batch_end is print


def test_it_is_collected():
    class Holder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    holder = Holder()
    callback_list = callbacks.CallbackList(
        [holder, callbacks.LossHistory(), callbacks.TerminateOnNaN(), callbacks.ProgbarLogger()]
    )
    holder.holds = callback_list
    callback_list.on_train_batch_end(0, {"loss": 1.0})
    gone = weakref.ref(callback_list), weakref.ref(holder)
    del callback_list, holder
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


@pytest.mark.parametrize("max_lag", [-1, 1.5, "16"])
def test_max_lag_is_checked(max_lag):
    with pytest.raises((TypeError, ValueError), match="max_lag"):
        callbacks.CallbackList([], max_lag=max_lag)


def test_a_bare_callback_may_use_its_model(make_model, data):
    """Keras hands its hooks to other threads, where `self.model` crashes on JAX."""
    threads = set()

    class Bare(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            import threading

            threads.add(threading.get_ident())
            self.weights = self.model.get_weights()

    bare = Bare()
    model = make_model()
    model.fit(
        *data, verbose=0, callbacks=callbacks.CallbackList(bare, add_history=True, model=model)
    )
    import threading

    assert threads == {threading.get_ident()}


def test_what_a_hook_sets_takes_effect_on_the_next_batch(make_model, data):
    """Weights, the learning rate and the end of training, on every backend."""

    class Setter(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.optimizer.learning_rate = 0.0
                self.model.set_weights([np.full_like(w, 0.25) for w in self.model.get_weights()])
            if batch == 3:
                self.model.stop_training = True
            self.last = batch

    setter = Setter()
    model = make_model()
    callback_list = callbacks.CallbackList([setter], add_history=True, model=model)
    model.fit(*data, batch_size=5, verbose=0, callbacks=callback_list)
    assert setter.last == 3
    assert all((weights == 0.25).all() for weights in model.get_weights())


def test_an_evaluation_inside_a_fit(make_model, data):
    """With the same callbacks in both, as a list of their own."""
    history = callbacks.LossHistory(loss="running")
    seen = Seen()

    class Evaluates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                inner = callbacks.CallbackList([history, seen], model=self.model)
                self.model.evaluate(*data, verbose=0, callbacks=inner)

    model = make_model()
    outer = callbacks.CallbackList([history, Evaluates(), seen], add_history=True, model=model)
    model.fit(*data, batch_size=20, shuffle=False, verbose=0, callbacks=outer, validation_split=0.5)
    assert len(history.losses) == 2
    assert [logs["loss"] for logs in seen.logs] == pytest.approx(list(history.losses))


def test_many_batches_wait_in_bounded_space():
    from scalars import LateScalar, late_reader

    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("fitwatch._engine.readers.reader", late_reader)
        history = callbacks.LossHistory()
        callback_list = callbacks.CallbackList([history])
        scalars = [LateScalar(i) for i in range(3000)]
        for batch, scalar in enumerate(scalars):
            callback_list.on_train_batch_end(batch, {"loss": scalar})
        assert callback_list._recorder.pending <= 1024
        assert list(history.losses) == list(range(3000))


def test_every_order_of_reading_and_writing():
    """Sinks and hooks in every order, each seeing what Keras's list would show it."""
    kinds = {
        "history": callbacks.LossHistory,
        "seen": Seen,
        "writer": lambda: Writer(loss=5.0),
    }
    for order in itertools.product(kinds, repeat=4):
        results = []
        for module in (keras.callbacks, callbacks):
            made = [kinds[kind]() for kind in order]
            callback_list = module.CallbackList(made)
            callback_list._async_train = False
            for batch in range(2):
                callback_list.on_train_batch_end(batch, {"loss": backend_scalar(batch)})
            results.append(
                [list(c.losses) if hasattr(c, "losses") else getattr(c, "logs", None) for c in made]
            )
        assert results[0] == results[1], order


def test_batches_leave_nothing_behind(tmp_path):
    """Memory does not grow, except for the losses of LossHistory."""
    import tracemalloc

    made = [
        callbacks.LossHistory(capacity=10),
        callbacks.TerminateOnNaN(),
        callbacks.TensorBoard(tmp_path, update_freq=10, write_graph=False),
        callbacks.ModelCheckpoint(tmp_path / "x.keras", save_freq=10**9),
        Seen(),
    ]
    made[-1].on_train_batch_end = lambda batch, logs: logs.get("loss")
    callback_list = callbacks.CallbackList(made)
    for callback in made[:-1]:
        callback.set_model(keras.Sequential())
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)

    def batches(count):
        for batch in range(count):
            callback_list.on_train_batch_begin(batch)
            callback_list.on_train_batch_end(batch, {"loss": 1.0, "mae": [1.0]})
        callback_list._recorder.drain()

    with pytest.warns(UserWarning, match="not a scalar"):
        batches(2000)
    tracemalloc.start()
    batches(20_000)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    callback_list.on_train_end()
    assert kept < 100_000
