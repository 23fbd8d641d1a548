"""ThroughputMonitor, beside own clocks; bounds are generous, because machines are shared."""

import functools
import gc
import re
import time
import weakref

import event_reader
import health
import numpy as np
import pytest
from warned import no_warnings

from fitwatch import _core, callbacks
from fitwatch._core import Throughput

ON_TENSORFLOW = health.BACKEND == "tensorflow"
each_list = pytest.mark.parametrize("kind", health.LISTS)


class Clock(callbacks.Callback):
    """When each batch ended."""

    def on_train_begin(self, logs=None):
        self.ended = []

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(time.perf_counter())


class Sleeps(callbacks.Callback):
    """A callback that takes its time.

    Attributes:
        took: How long its hooks have slept.
    """

    took = 0.0

    def sleep(self, times=1):
        began = time.perf_counter()
        time.sleep(times * health.SECONDS)
        self.took += time.perf_counter() - began

    def on_train_batch_end(self, batch, logs=None):
        self.sleep()

    def on_epoch_end(self, epoch, logs=None):
        self.sleep(5)


class SlowValidation(Sleeps):
    """A callback that is slow in validations only."""

    def on_train_batch_end(self, batch, logs=None):
        pass

    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_test_batch_end(self, batch, logs=None):
        self.sleep()


def names(*without):
    missing = {*without, *(["data_wait"] if ON_TENSORFLOW else [])}
    return [name for name in Throughput.names if name not in missing]


@each_list
@health.compares_times
def test_rates(kind):
    history, clock = callbacks.LossHistory(columns="all"), Clock()
    watching = [clock, callbacks.ThroughputMonitor(window=5), history, Sleeps()]
    with no_warnings():
        logs = health.fit(health.model(), watching, kind=kind)
    # The monitor's clock is read before the hooks.
    took = clock.ended[-1] - clock.ended[-6]
    assert logs["batches_per_second"][-1] == pytest.approx(5 / took, rel=0.1)
    rates = history.column("samples_per_second") / history.column("batches_per_second")
    assert rates[:12] == pytest.approx(8)
    assert rates[-1] == pytest.approx((4 * 8 + 4) / 5)
    assert 0.95 * health.SECONDS < logs["step_time_p50"][-1] <= logs["step_time_p90"][-1]
    assert set(logs) == {"loss", *names()}
    assert {name: values[0] for name, values in logs.items() if name != "loss"} == pytest.approx(
        {name: history.column(name)[12] for name in names()}
    )


@each_list
def test_every_sink_has_the_columns(kind, tmp_path):
    watching = [
        callbacks.CSVLogger(tmp_path / "log.csv", update_freq="batch"),
        callbacks.TensorBoard(tmp_path / "logs", update_freq="batch"),
        callbacks.ThroughputMonitor(),
    ]
    logs = health.fit(health.model(), watching, kind=kind)
    rows = health.rows(tmp_path / "log.csv")
    assert set(names()) <= set(rows[0])
    assert not set(Throughput.names) - set(names()) & set(rows[0])
    assert rows[0]["eta_seconds"] == "NA" != rows[1]["eta_seconds"]
    train = tmp_path / "logs" / "train"
    for name in names():
        known = 25 if name == "eta_seconds" else 26
        assert len(event_reader.steps(train, f"batch_{name}")) == known
        assert len(event_reader.steps(train, f"epoch_{name}")) == 2
        assert float(rows[-1][name]) == logs[name][-1]


@pytest.mark.skipif(ON_TENSORFLOW, reason="TensorFlow fetches batches inside its graph")
@each_list
@health.compares_times
def test_waiting_for_data(kind):
    monitor = callbacks.ThroughputMonitor(window=10)
    logs = health.fit(health.model(), [monitor], kind=kind, data=health.SlowBatches().batches())
    assert 0.7 < logs["data_wait"][-1] <= 1
    assert logs["samples_per_second"][-1] == pytest.approx(8 * logs["batches_per_second"][-1])
    logs = health.fit(health.model(), [monitor, Sleeps()], kind=kind)
    assert logs["data_wait"][-1] < 0.3


@pytest.mark.skipif(not ON_TENSORFLOW, reason="Python fetches the batches elsewhere")
def test_samples_on_tensorflow():
    import tensorflow as tf

    monitor = callbacks.ThroughputMonitor()
    logs = health.fit(health.model(), [monitor], data=health.SlowBatches(0).batches())
    assert set(logs) == {"loss", *names("samples_per_second")}
    dataset = tf.data.Dataset.from_tensor_slices(health.arrays()).repeat()
    fixed = dataset.batch(health.SIZE, drop_remainder=True)
    logs = health.fit(health.model(), [monitor], data=fixed)
    assert logs["samples_per_second"][-1] == pytest.approx(8 * logs["batches_per_second"][-1])


@each_list
def test_the_estimated_end(kind, monkeypatch):
    asked = []

    class Asked:
        """What the estimate is made of; its arithmetic is tested in the core."""

        names = Throughput.names

        def __init__(self, window):
            self._throughput = Throughput(window)

        def values(self, remaining, pauses):
            asked.append((remaining, pauses))
            return self._throughput.values(remaining, pauses)

        def __getattr__(self, name):
            return getattr(self._throughput, name)

    monkeypatch.setattr(_core, "Throughput", Asked)
    history = callbacks.LossHistory(columns="all")
    watching = [callbacks.ThroughputMonitor(), history, Sleeps()]
    health.fit(health.model(), watching, kind=kind, epochs=3)
    # The ends of this epoch and of those that follow are left, too.
    assert asked == [(38 - batch, 3 - batch // health.STEPS) for batch in range(39)]
    estimated = history.column("eta_seconds")
    assert np.isnan(estimated[0])
    # No sleep is shorter than it was asked to be.
    assert (estimated[1:] >= 0.9 * health.SECONDS * np.arange(37, -1, -1)).all()


@each_list
def test_an_epoch_of_unknown_length(kind):
    class Params(callbacks.Callback):
        def set_params(self, params):
            params["steps"] = None

    history = callbacks.LossHistory(columns="all")
    health.fit(health.model(), [Params(), callbacks.ThroughputMonitor(), history], kind=kind)
    estimated = history.column("eta_seconds")
    assert np.isnan(estimated[:13]).all()
    assert (estimated[13:] > 0).all()


@pytest.mark.skipif(health.BACKEND == "torch", reason="torch trains one batch in a call")
@each_list
@health.compares_times
def test_several_batches_in_a_call(kind):
    history, clock = callbacks.LossHistory(columns="all"), Clock()
    watching = [clock, callbacks.ThroughputMonitor(window=8), history, Sleeps()]
    model = health.model(steps_per_execution=5)
    logs = health.fit(model, watching, kind=kind)
    known = np.flatnonzero(~np.isnan(history.column("batches_per_second")))
    assert known.tolist() == [4, 9, 12, 17, 22, 25]
    took = clock.ended[-1] - clock.ended[-3]
    assert logs["batches_per_second"][-1] == pytest.approx(8 / took, rel=0.1)
    ratio = logs["samples_per_second"][-1] / logs["batches_per_second"][-1]
    assert ratio == pytest.approx((7 * 8 + 4) / 8)


@each_list
def test_validations_do_not_count(kind):
    class Validates(callbacks.Callback):
        def on_test_begin(self, logs=None):
            time.sleep(10 * health.SECONDS)

    history = callbacks.LossHistory(columns="all")
    watching = [callbacks.ThroughputMonitor(), Validates(), history]
    health.fit(health.model(), watching, kind=kind, validation_data=health.arrays(), epochs=3)
    slowest = history.column("step_time_p99")
    # The first batch, in which the model is compiled, may take longer than a validation.
    assert slowest[-1] <= max(slowest[12], 5 * health.SECONDS)


def test_training_is_unchanged():
    plain, watched = health.model(), health.model()
    logs = health.fit(plain, [])
    others = health.fit(watched, [callbacks.ThroughputMonitor(report=True)])
    assert others["loss"] == logs["loss"]
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_of_them():
    history = callbacks.LossHistory(columns="all")
    monitors = [callbacks.ThroughputMonitor(window=1), callbacks.ThroughputMonitor()]
    with no_warnings():
        logs = health.fit(health.model(), [*monitors, history])
    assert set(logs) == {"loss", *names()}
    last = history.column("batches_per_second")[-1]
    assert last == pytest.approx(logs["batches_per_second"][-1])


def test_a_metric_with_the_name_of_a_column_keeps_it():
    def step_time_p50(truth, prediction):
        return prediction * 0 + 3

    history = callbacks.LossHistory(columns="all")
    model = health.model(metrics=[step_time_p50])
    with pytest.warns(UserWarning, match="speed of this Sequential .* the name 'step_time_p50'"):
        logs = health.fit(model, [history, callbacks.ThroughputMonitor()])
    assert logs["step_time_p50"] == [3, 3]
    assert (history.column("step_time_p50") == 3).all()
    assert (history.column("batches_per_second") > 0).all()


@each_list
def test_the_bar_shows_the_estimated_end(kind, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    watching = [callbacks.ThroughputMonitor(), Sleeps(), callbacks.ProgbarLogger()]
    health.fit(health.model(), watching, kind=kind, verbose=1)
    shown = capsys.readouterr().out.split("\r")
    inside = [text for text in shown if "eta_seconds" in text and "val" not in text]
    running = [text for text in inside if "batches_per_second" not in text]
    assert len(running) > 2, "in the running bar, without the other columns"
    assert any("step_time_p99" in text for text in inside), "the finished line has all logs"


@each_list
def test_without_health_monitors_the_bar_has_no_columns(kind):
    bar = callbacks.ProgbarLogger()
    model = health.model()
    model.make_train_function()
    seen = []

    class Looks(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(model.train_function)

    function = model.train_function
    health.fit(model, [bar, Looks()], kind=kind, verbose=1)
    assert set(seen) == {function}


def table(capsys):
    """The report: seconds by name."""
    text = capsys.readouterr().out
    assert "Where the time of fit() went:" in text
    lines = text.split("went:")[1].strip("\n").splitlines()
    found = [re.fullmatch(r"  (.+?) +([\d.]+) s +[\d.]+%", line) for line in lines]
    return {match[1]: float(match[2]) for match in found}


@health.compares_times
def test_the_report(capsys, tmp_path):
    model, save = health.model(), Sleeps()
    original = model.save
    model.save = lambda *args, **options: (save.sleep(20), original(*args, **options))
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "model.keras")
    of_arrays = {"validation_data": health.arrays(), "validation_batch_size": health.SIZE}
    # Compiles the model, and imports what saving needs.
    health.fit(model, [checkpoint], epochs=1, **of_arrays)
    save.took = 0.0

    monitor, sleeps, slow = callbacks.ThroughputMonitor(report=True), Sleeps(), SlowValidation()
    data = health.SlowBatches()

    class Begins(callbacks.Callback):
        def on_train_begin(self, logs=None):
            data.took = 0.0  # Keras has looked at the first batch

    watching = [Begins(), monitor, sleeps, checkpoint, slow]
    began = time.perf_counter()
    health.fit(model, watching, data=data.batches(), **of_arrays)
    took = time.perf_counter() - began
    found = table(capsys)
    close = functools.partial(pytest.approx, rel=0.05)
    assert found["callback Sleeps"] == close(sleeps.took)
    assert found["callback SlowValidation"] == close(slow.took)
    assert save.took < found["saving checkpoints"] < save.took + 0.5
    if ON_TENSORFLOW:
        assert "waiting for data" not in found
    else:
        assert found["waiting for data"] == close(data.took)
    assert found["total"] <= took + 0.02
    parts = sum(seconds for name, seconds in found.items() if name != "total")
    assert parts == pytest.approx(found["total"], abs=0.1)  # of numbers that are rounded


def test_the_report_in_a_stock_list(capsys):
    monitor = callbacks.ThroughputMonitor(report=True)
    health.fit(health.model(), [monitor, Sleeps()], kind="stock", validation_data=health.arrays())
    found = table(capsys)
    assert found["other"] > 30 * health.SECONDS
    assert found["validation"] > 0
    assert not any(name.startswith("callback") for name in found)


@health.compares_times
def test_the_report_has_callbacks_that_end_last(capsys):
    class Ends(callbacks.Callback):
        def on_train_end(self, logs=None):
            time.sleep(5 * health.SECONDS)

    health.fit(health.model(), [callbacks.ThroughputMonitor(report=True), Ends()])
    assert table(capsys)["callback Ends"] == pytest.approx(5 * health.SECONDS, rel=0.2)


@each_list
def test_after_an_exception(kind, capsys):
    class Fails(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise ZeroDivisionError

    model, monitor = health.model(), callbacks.ThroughputMonitor(report=True)
    model.make_train_function()
    function = model.train_function
    with pytest.raises(ZeroDivisionError):
        health.fit(model, [monitor, Fails()], kind=kind)
    assert "Where" not in capsys.readouterr().out
    logs = health.fit(model, [monitor], kind=kind)
    assert set(logs) == {"loss", *names()}
    assert table(capsys)["total"] < 60
    assert model.train_function is function


def test_in_a_loop_there_are_no_columns():
    watching = callbacks.CallbackList([callbacks.ThroughputMonitor(), callbacks.MemoryMonitor()])
    watching.on_train_begin()
    watching.on_epoch_begin(0)
    watching.on_train_batch_end(0, {"loss": 1.0})
    logs = {"loss": 1.0}
    watching.on_epoch_end(0, logs)
    watching.on_train_end()
    assert not set(Throughput.names) & set(logs)


@pytest.mark.skipif(ON_TENSORFLOW, reason="TensorFlow keeps a generator")
@each_list
def test_the_data_are_not_kept(kind):
    model, data = health.model(), health.SlowBatches(0)
    monitor = callbacks.ThroughputMonitor(report=True)
    health.fit(model, [monitor], kind=kind, data=data.batches())
    alive = weakref.ref(data)
    del data
    gc.collect()
    assert alive() is None
