"""How late a decision that depends on batch values may come; no value is waited for needlessly."""

import keras
import pytest
import scalars
from scalars import DeviceScalar, LateScalar, Transfer, device_reader, late_reader

from fitwatch import callbacks

NAN = float("nan")


class Model:
    stop_training = False


def terminating(max_lag, *more):
    model = Model()
    terminate = callbacks.TerminateOnNaN()
    callback_list = callbacks.CallbackList([terminate, *more], max_lag=max_lag)
    terminate.set_model(model)
    return callback_list, model


def stops_at(callback_list, model, losses, last=100):
    """The batch after which the training stops."""
    for batch in range(last):
        callback_list.on_train_batch_begin(batch)
        callback_list.on_train_batch_end(batch, {"loss": losses(batch)})
        if model.stop_training:
            return batch
    return None


def late(nan_at, made, ready=False):
    def loss(batch):
        made.append(LateScalar(NAN if batch >= nan_at else 1.0, ready=ready))
        return made[-1]

    return loss


@pytest.mark.parametrize(("max_lag", "stops"), [(0, 5), (1, 6), (16, 21)])
def test_a_decision_comes_at_most_so_many_batches_late(monkeypatch, capsys, max_lag, stops):
    scalars.use(monkeypatch, late_reader())
    callback_list, model = terminating(max_lag)
    assert stops_at(callback_list, model, late(5, made := [])) == stops
    assert capsys.readouterr().out == "Batch 5: Invalid loss, terminating training\n"
    # Only the oldest value was waited for.
    assert [scalar.waits for scalar in made[:6]] == [1] * 6
    assert not any(scalar.waits for scalar in made[6:])


def test_values_that_are_there_are_taken_when_the_lag_is_used_up(monkeypatch):
    scalars.use(monkeypatch, late_reader())
    callback_list, model = terminating(4)
    stops = stops_at(callback_list, model, late(5, made := [], ready=True))
    assert stops <= 5 + 4
    assert not any(scalar.waits for scalar in made)


def test_where_values_are_there_at_once_nothing_comes_late():
    if keras.config.backend() == "jax":
        pytest.skip("JAX runs ahead")
    callback_list, model = terminating(16)
    assert (
        stops_at(callback_list, model, lambda b: scalars.backend_scalar(NAN if b > 4 else 1)) == 5
    )
    callback_list, model = terminating(16)
    assert stops_at(callback_list, model, lambda b: NAN if b > 4 else 1.0) == 5


def test_all_is_drained_when_the_epoch_ends(monkeypatch):
    scalars.use(monkeypatch, late_reader())
    history = callbacks.LossHistory()
    callback_list, model = terminating(16, history)
    made = [LateScalar(1.0) for _ in range(10)] + [LateScalar(NAN)]
    for batch, scalar in enumerate(made):
        callback_list.on_train_batch_end(batch, {"loss": scalar})
    assert not model.stop_training
    callback_list.on_epoch_end(0, {})
    assert model.stop_training
    assert len(history.losses) == 11


def test_nobody_waits_for_values_that_are_only_kept(monkeypatch):
    """No host wait per batch: values are taken when they are there, in order."""
    scalars.use(monkeypatch, late_reader())
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    made = []
    for batch in range(500):
        made.append(LateScalar(batch))
        callback_list.on_train_batch_end(batch, {"loss": made[-1], "mae": LateScalar(0)})
        if batch >= 7:
            made[batch - 7].ready = True
    assert not any(scalar.waits for scalar in made)
    assert callback_list._recorder.pending < 500  # taken on the way
    callback_list._recorder.drain()
    assert [scalar.waits for scalar in made] == [0] * 493 + [1] * 7
    assert [scalar.reads for scalar in made] == [1] * 500
    assert list(history.losses) == list(range(500))


def test_a_value_that_nobody_wants_is_never_read(monkeypatch):
    scalars.use(monkeypatch, late_reader())
    history = callbacks.LossHistory()
    user = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: logs["mae"] if batch % 100 == 0 else None
    )
    callback_list = callbacks.CallbackList([history, user])
    made = []
    for batch in range(300):
        made.append({name: LateScalar(1.0, ready=True) for name in ("loss", "mae", "other")})
        callback_list.on_train_batch_end(batch, made[-1])
    callback_list._recorder.drain()
    assert sum(logs["loss"].reads for logs in made) == 300
    assert sum(logs["mae"].reads for logs in made) == 3
    assert sum(logs["other"].reads for logs in made) == 0


def test_an_idle_list_touches_nothing(monkeypatch):
    scalars.use(monkeypatch, late_reader())
    idle = [callbacks.EarlyStopping(), callbacks.ModelCheckpoint("x.keras"), callbacks.History()]
    callback_list = callbacks.CallbackList(idle)
    scalar = LateScalar(1.0)
    for batch in range(100):
        callback_list.on_train_batch_end(batch, {"loss": scalar})
    callback_list._recorder.drain()
    assert (scalar.reads, scalar.waits) == (0, 0)


def test_an_array_that_is_gone_is_reported_and_not_touched(monkeypatch):
    scalars.use(monkeypatch, late_reader())
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    scalar = LateScalar(1.0)
    callback_list.on_train_batch_end(0, {"loss": scalar})
    scalar.deleted = True
    with pytest.warns(UserWarning, match="no numeric 'loss'"):
        callback_list._recorder.drain()
    assert len(history.losses) == 0


def test_an_accelerator_is_asked_once_for_many_batches(monkeypatch):
    transfer = Transfer()
    scalars.use(monkeypatch, device_reader(transfer))
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    for batch in range(1000):
        transfer.done = batch % 50 == 0
        callback_list.on_train_batch_end(batch, {"loss": DeviceScalar(batch)})
    assert transfer.waits == 0
    assert len(transfer.sizes) < 100
    callback_list._recorder.drain()
    assert list(history.losses) == list(range(1000))
    assert sum(transfer.sizes) == 1000


@pytest.mark.parametrize("max_lag", [0, 3])
def test_a_decision_on_an_accelerator(monkeypatch, max_lag):
    transfer = Transfer()
    scalars.use(monkeypatch, device_reader(transfer))
    callback_list, model = terminating(max_lag)
    stops = stops_at(callback_list, model, lambda b: DeviceScalar(NAN if b >= 5 else 1.0))
    assert 5 <= stops <= 5 + max_lag


def test_a_device_array_that_is_gone(monkeypatch):
    scalars.use(monkeypatch, device_reader(Transfer()))
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    made = [DeviceScalar(1.0), DeviceScalar(2.0), DeviceScalar(3.0)]
    for batch, scalar in enumerate(made):
        callback_list.on_train_batch_end(batch, {"loss": scalar})
    made[1].deleted = True
    with pytest.warns(UserWarning, match="no numeric 'loss'"):
        callback_list._recorder.drain()
    assert list(history.losses) == [1.0, 3.0]


class BrokenTransfer(Transfer):
    def finish(self, handle):
        raise RuntimeError("the device is gone")


def test_a_transfer_that_fails_is_not_tried_for_ever(monkeypatch):
    scalars.use(monkeypatch, device_reader(BrokenTransfer()))
    history = callbacks.LossHistory()
    callback_list = callbacks.CallbackList([history])
    for batch in range(3):
        callback_list.on_train_batch_end(batch, {"loss": DeviceScalar(batch)})
    with pytest.raises(RuntimeError, match="the device is gone"):
        callback_list._recorder.drain()
    # The values are kept unread, as if each had failed alone.
    assert list(history.losses) == [0, 1, 2]


@pytest.mark.parametrize("raise_error", [True, False])
@pytest.mark.parametrize("values", [[1.0, NAN], [float("inf")], [1, 2], [None], [[1.0, NAN]]])
def test_terminate_on_nan_is_that_of_keras(capsys, values, raise_error):
    """Under the list and without it."""
    outcomes = []
    for module, listed in [(keras.callbacks, False), (callbacks, False), (callbacks, True)]:
        terminate = module.TerminateOnNaN(raise_error=raise_error)
        model = Model()
        terminate.set_model(model)
        driven = callbacks.CallbackList([terminate], max_lag=0) if listed else terminate
        error = None
        for batch, value in enumerate(values):
            if isinstance(value, list) and module is keras.callbacks:
                pytest.skip("Keras has no single answer for an array")
            try:
                driven.on_train_batch_end(batch, {"loss": value})
            except RuntimeError as raised:
                error = str(raised)
        outcomes.append((model.stop_training, error, capsys.readouterr().out))
    assert outcomes[0] == outcomes[1] == outcomes[2]
