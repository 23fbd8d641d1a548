"""MemoryMonitor: columns that are measured every N batches."""

import event_reader
import health
import numpy as np
import pytest
from warned import no_warnings

from fitwatch import callbacks
from fitwatch._monitors import memory, memory_meter

NAMES = ["memory_rss", "memory_rss_peak"]
each_list = pytest.mark.parametrize("kind", health.LISTS)


def batches_with_values(history, name="memory_rss"):
    return np.flatnonzero(~np.isnan(history.column(name))).tolist()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Memory as on a machine that tells all of it but that of devices."""
    bytes_now = iter(range(1_000_000, 2_000_000))
    monkeypatch.setattr(
        memory_meter,
        "_READ",
        {
            "memory_rss": lambda: next(bytes_now),
            "memory_rss_peak": lambda: 2_000_000,
            "device_memory": lambda: None,
            "device_memory_peak": memory.device_memory_peak,
        },
    )
    monkeypatch.setattr(memory, "device_memory_peak", lambda: None)


@each_list
def test_every_sink_has_the_columns(kind, tmp_path):
    history = callbacks.LossHistory(columns="all")
    watching = [
        callbacks.CSVLogger(tmp_path / "log.csv", update_freq="batch"),
        callbacks.TensorBoard(tmp_path / "logs", update_freq="batch"),
        callbacks.MemoryMonitor(every=4),
        history,
    ]
    with no_warnings():
        logs = health.fit(health.model(), watching, kind=kind)
    assert set(logs) == {"loss", *NAMES}
    assert all(len(values) == 2 for values in logs.values())
    assert set(history.kinds) == {"loss", *NAMES}
    assert batches_with_values(history) == list(range(0, 26, 4))
    of_batches = [row for row in health.rows(tmp_path / "log.csv") if row["batch"] != "NA"]
    written = [at for at, row in enumerate(of_batches) if row["memory_rss"] != "NA"]
    assert written == list(range(0, 26, 4))
    train = tmp_path / "logs" / "train"
    assert len(event_reader.steps(train, "batch_memory_rss")) == 7
    assert len(event_reader.steps(train, "epoch_memory_rss")) == 2


@each_list
def test_the_logs_of_an_epoch_have_the_values_at_its_end(kind):
    history = callbacks.LossHistory(columns="all")
    logs = health.fit(health.model(), [history, callbacks.MemoryMonitor()], kind=kind)
    measured = history.column("memory_rss")
    assert batches_with_values(history) == [0]
    assert measured[0] < logs["memory_rss"][0] < logs["memory_rss"][1]


@pytest.mark.skipif(health.BACKEND == "torch", reason="torch trains one batch in a call")
@each_list
def test_several_batches_in_a_call(kind):
    history = callbacks.LossHistory(columns="all")
    model = health.model(steps_per_execution=5)
    health.fit(model, [history, callbacks.MemoryMonitor(every=4)], kind=kind)
    # The last batch of each call of 5, 5 and 3.
    assert batches_with_values(history) == [4, 9, 17, 22]


def test_real_memory(monkeypatch):
    monkeypatch.undo()
    logs = health.fit(health.model(), [callbacks.MemoryMonitor()], epochs=1)
    assert 5e7 < logs["memory_rss"][0] <= logs["memory_rss_peak"][0] < 1e11


def test_training_is_unchanged():
    plain, watched = health.model(), health.model()
    logs = health.fit(plain, [])
    others = health.fit(watched, [callbacks.MemoryMonitor(every=1)])
    assert others["loss"] == logs["loss"]
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_can_be_monitored():
    stopping = callbacks.EarlyStopping(
        "memory_rss", unit="batch", patience=10**6, divergence_threshold=1_000_003
    )
    model = health.model()
    health.fit(model, [callbacks.MemoryMonitor(every=2), stopping], epochs=1)
    assert stopping.stopped_batch > 0


def test_a_metric_with_the_name_of_a_column_keeps_it():
    def memory_rss(truth, prediction):
        return prediction * 0 + 3

    history = callbacks.LossHistory(columns="all")
    model = health.model(metrics=[memory_rss])
    with pytest.warns(UserWarning, match="memory of this Sequential .* has the name 'memory_rss'"):
        logs = health.fit(model, [history, callbacks.MemoryMonitor()])
    assert logs["memory_rss"] == [3, 3]
    assert (history.column("memory_rss") == 3).all()
    assert batches_with_values(history, "memory_rss_peak") == [0]


@each_list
def test_after_an_exception(kind):
    class Fails(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise ZeroDivisionError

    model, monitor = health.model(), callbacks.MemoryMonitor()
    function = model.make_train_function() or model.train_function
    with pytest.raises(ZeroDivisionError):
        health.fit(model, [monitor, Fails()], kind=kind)
    history = callbacks.LossHistory(columns="all")
    logs = health.fit(model, [monitor, history], kind=kind)
    assert batches_with_values(history) == [0]
    assert set(logs) == {"loss", *NAMES}
    assert model.train_function is function
