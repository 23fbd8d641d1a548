"""The order of hooks: decisions, changes of the list during a fit, two lists at once."""

import keras
import numpy as np
import pytest
from scalars import LateScalar, backend_scalar, late_reader, use

from fitwatch import callbacks
from fitwatch._engine import plan

NAN = float("nan")


class Model:
    stop_training = False
    optimizer = None


def test_ours_are_compiled(tmp_path):
    """All of this would work without, and slowly."""
    board = callbacks.TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    ours = [
        callbacks.LossHistory(),
        callbacks.TerminateOnNaN(),
        callbacks.ProgbarLogger(),
        callbacks.ModelCheckpoint(tmp_path / "x.keras", save_freq=5),
        board,
    ]
    idle = [
        callbacks.EarlyStopping(),
        callbacks.ReduceLROnPlateau(),
        callbacks.ModelCheckpoint("x.keras"),
        callbacks.CSVLogger("x.csv"),
        callbacks.History(),
    ]
    board.set_model(Model())
    callback_list = callbacks.CallbackList([*ours, *idle])
    planned = callback_list._plan("on_train_batch_end")
    assert [place for place, _, _ in planned] == [0, 1, 2, 3, 4]
    assert all(form is not None for _, _, form in planned)
    planned = callback_list._plan("on_train_batch_begin")
    assert [(place, form is not None) for place, _, form in planned] == [(4, True)]


def test_a_replaced_hook_of_ours_is_called():
    class Mine(callbacks.LossHistory):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, {"loss": logs["loss"] * 2})

    mine, patched = Mine(), callbacks.LossHistory()
    patched.on_train_batch_end = lambda batch, logs: None
    callback_list = callbacks.CallbackList([mine, patched])
    for batch in range(3):
        callback_list.on_train_batch_end(batch, {"loss": 1.0})
    assert list(mine.losses) == [2, 2, 2]
    assert len(patched.losses) == 0
    forms = [form for _, _, form in plan.plan([mine, patched], "on_train_batch_end", None)]
    assert forms == [None, None]


class Later(keras.callbacks.Callback):
    """What the callback behind sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, self._model.stop_training))


@pytest.mark.parametrize("raise_error", [True, False])
def test_a_decision_without_lag_comes_before_the_callbacks_behind(raise_error):
    outcomes = []
    for module in (keras.callbacks, callbacks):
        made = [module.TerminateOnNaN(raise_error=raise_error), callbacks.LossHistory(), Later()]
        options = {"max_lag": 0} if module is callbacks else {}
        callback_list = module.CallbackList(made, **options)
        callback_list._async_train = False
        model = Model()
        for callback in made:
            callback.set_model(model)
        error = None
        for batch, loss in enumerate([1.0, 2.0, NAN]):
            try:
                callback_list.on_train_batch_end(batch, {"loss": backend_scalar(loss)})
            except RuntimeError as raised:
                error = str(raised)
        outcomes.append((made[2].seen, error, len(made[1].losses)))
    assert outcomes[0] == outcomes[1]


def test_a_good_checkpoint_is_not_overwritten_with_nan(make_model, tmp_path):
    path = tmp_path / "model.weights.h5"
    model = make_model(loss="mse")
    x = np.ones((8, 4), "float32")
    y = np.zeros((8, 2), "float32")
    y[5:] = NAN
    made = [
        callbacks.TerminateOnNaN(raise_error=True),
        callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=1),
    ]
    callback_list = callbacks.CallbackList(made, add_history=True, model=model, max_lag=0)
    with pytest.raises(RuntimeError, match="at batch 5"):
        model.fit(x, y, batch_size=1, shuffle=False, verbose=0, callbacks=callback_list)
    model.load_weights(path)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_columns_are_those_of_the_plan(tmp_path):
    """One list after another, so that plans are made where others were."""
    value = np.zeros(())
    for _ in range(20):
        board = callbacks.TensorBoard(tmp_path, update_freq=1, write_graph=False)
        history = callbacks.LossHistory()
        board.set_model(Model())
        callback_list = callbacks.CallbackList([board])
        callback_list.on_train_begin()
        for batch in range(3):
            value[...] = batch
            callback_list.on_train_batch_end(batch, {"loss": value})
        callback_list.callbacks[:] = [history]
        for batch in range(5):
            value[...] = batch
            callback_list.on_train_batch_end(batch, {"loss": value})
        assert list(history.losses) == [0, 1, 2, 3, 4]
        board.on_train_end()


def test_an_error_that_a_look_at_an_attribute_meets_comes_from_the_next_hook(monkeypatch):
    use(monkeypatch, late_reader())
    history = callbacks.LossHistory()
    terminate = callbacks.TerminateOnNaN(raise_error=True)
    callback_list = callbacks.CallbackList([terminate, history])
    callback_list.on_train_batch_end(7, {"loss": LateScalar(NAN)})
    assert np.isnan(history.losses).tolist() == [True]
    with pytest.raises(RuntimeError, match="at batch 7"):
        callback_list.on_train_batch_begin(8)
    callback_list.on_train_batch_begin(8)  # once
    callback_list.on_train_batch_end(9, {"loss": LateScalar(NAN)})
    assert len(history.losses) == 2
    with pytest.raises(RuntimeError, match="at batch 9"):
        callback_list.on_epoch_end(0, {})


def test_two_lists_with_one_history_keep_the_order():
    history = callbacks.LossHistory()
    lists = [callbacks.CallbackList([history]) for _ in range(2)]
    for batch in range(6):
        lists[batch % 2].on_train_batch_end(batch, {"loss": backend_scalar(batch)})
    assert list(history.losses) == [0, 1, 2, 3, 4, 5]


def test_a_list_that_changes_in_a_hook():
    """As in Keras, whose loop runs over the list while it changes."""
    outcomes = []
    for module in (keras.callbacks, callbacks):
        calls = []

        def see(name, calls=calls):
            return keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda at, logs: calls.append((name, at, logs["loss"]))
            )

        callback_list = module.CallbackList([])
        callback_list._async_train = False
        new, last = see("new"), see("last")

        def change(batch, logs, callback_list=callback_list, new=new, last=last):
            if batch == 1:
                callback_list.callbacks.append(new)
            if batch == 3:
                callback_list.callbacks.remove(last)
            logs["loss"] = batch + 0.5

        changes = keras.callbacks.LambdaCallback(on_train_batch_end=change)
        callback_list.callbacks += [see("first"), changes, last]
        for batch in range(5):
            callback_list.on_train_batch_end(batch, {"loss": 1})
        outcomes.append(calls)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("body", ["len(self.losses)", "self.list.on_train_batch_end(9, {})"])
def test_a_callback_that_comes_back_while_it_goes(body):
    """A `__del__` runs wherever the last reference is dropped."""

    class Goes(callbacks.LossHistory):
        def __del__(self):
            exec(body)

    callback_list = callbacks.CallbackList([Goes()])
    callback_list.callbacks[0].list = callback_list
    callback_list.on_train_batch_end(0, {"loss": 1.0})
    callback_list.callbacks.clear()
    callback_list.on_train_batch_end(1, {"loss": 1.0})
    callback_list.on_epoch_begin(0)


def test_save_freq_may_change(make_model, data, tmp_path):
    saved = []
    for module in (keras.callbacks, callbacks):
        folder = tmp_path / module.__name__
        checkpoint = module.ModelCheckpoint(folder / "{batch}.weights.h5", save_weights_only=True)
        checkpoint.save_freq = 2
        change = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, c=checkpoint: (
                batch == 4 and setattr(c, "save_freq", 1)
            )
        )
        model = make_model()
        callback_list = module.CallbackList([change, checkpoint], add_history=True, model=model)
        callback_list._async_train = False
        model.fit(*data, batch_size=6, verbose=0, callbacks=callback_list)
        saved.append(sorted(path.name for path in folder.iterdir()))
    assert saved[0] == saved[1]
    assert len(saved[0]) == 8


def test_making_a_list_starts_no_backend():
    import os
    import subprocess
    import sys

    script = """
import fitwatch, jax
fitwatch.CallbackList([])
jax.config.update("jax_num_cpu_devices", 2)  # refused once the backend has started
assert jax.device_count() == 2
"""
    if keras.config.backend() != "jax":
        pytest.skip("about JAX")
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)
