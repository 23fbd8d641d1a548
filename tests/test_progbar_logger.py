"""ProgbarLogger: plain lines where the output is not a terminal, and the compiled bar."""

import io
import itertools
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from scalars import LateScalar, late_reader, use

import fitwatch
from fitwatch import callbacks


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(listed, epochs, steps, verbose=1, clock=None, pause=0.0, logs=None):
    """A training that is driven by hand."""
    listed.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    listed.on_train_begin()
    for epoch in range(epochs):
        listed.on_epoch_begin(epoch)
        for batch in range(100):
            if clock is not None:
                clock.now += pause
            listed.on_train_batch_end(batch, logs or {"loss": 0.5, "acc": 0.25})
        listed.on_epoch_end(epoch, logs or {"loss": 0.5, "acc": 0.25, "val_loss": 0.75})
    listed.on_train_end()


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


def test_a_pipe_gets_one_line_for_a_short_epoch(capsys):
    run(callbacks.ProgbarLogger(), epochs=2, steps=100)
    out = capsys.readouterr().out
    line = r"100/100 - 0s - \d+[um]?s/step - loss: 0.5000 - acc: 0.2500 - val_loss: 0.7500\n"
    assert re.fullmatch(rf"Epoch 1/2\n{line}Epoch 2/2\n{line}", out)


def test_a_pipe_gets_a_line_every_ten_seconds(capsys, clock):
    run(callbacks.ProgbarLogger(), epochs=1, steps=None, clock=clock, pause=0.25)
    assert capsys.readouterr().out == (
        "     40/Unknown - 10s - 250ms/step - loss: 0.5000 - acc: 0.2500\n"
        "     80/Unknown - 20s - 250ms/step - loss: 0.5000 - acc: 0.2500\n"
        "100/100 - 25s - 250ms/step - loss: 0.5000 - acc: 0.2500 - val_loss: 0.7500\n"
    )


@pytest.mark.parametrize("verbose", [0, 2])
def test_other_verbosities_are_the_same_in_a_pipe(verbose, capsys, clock):
    printed = []
    for module in (callbacks, keras.callbacks):
        run(module.ProgbarLogger(), 2, 100, verbose=verbose, clock=clock, pause=0.25)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_the_log_gets_plain_lines(caplog):
    import logging

    from absl import logging as absl_logging

    before = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.get_absl_logger().addHandler(caplog.handler)
    keras.config.disable_interactive_logging()
    try:
        with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO):
            patch.setattr(sys, "stdout", Terminal())
            run(callbacks.ProgbarLogger(), epochs=1, steps=100)
            assert sys.stdout.getvalue() == ""
    finally:
        keras.config.enable_interactive_logging()
        absl_logging.get_absl_logger().removeHandler(caplog.handler)
        absl_logging.set_verbosity(before)
    assert "\x1b" not in caplog.text
    assert "100/100 - 0s" in caplog.text


def test_a_notebook_gets_the_bar(monkeypatch, capsys, clock):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    printed = []
    for module in (callbacks, keras.callbacks):
        run(module.ProgbarLogger(), 2, 100, clock=clock, pause=0.25)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "\x1b[32m━" in printed[0]


def test_a_compiled_list_draws_the_bar_of_keras(monkeypatch):
    """At its own times; the last state of each epoch is the same."""

    def last_states(text):
        text = re.sub(r"\x1b\[1m[\d:]+s\x1b\[0m \d+[mu]?s/step", "TIME", text)
        return [line.split("\r")[-1].rstrip() for line in text.split("\n")]

    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            run(module.CallbackList([module.ProgbarLogger()]), 3, 100)
            printed.append(terminal.getvalue())
    assert last_states(printed[0]) == last_states(printed[1])
    assert 3 <= printed[0].count("\r") <= 3 + 3 * 2


def test_a_batch_costs_a_count_and_no_value(monkeypatch):
    """Between two drawings no value is asked for."""
    asked = []

    class Value:
        def __float__(self):
            asked.append(1)
            return 0.5

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        callback_list = callbacks.CallbackList([callbacks.ProgbarLogger()])
        run(callback_list, epochs=1, steps=100, logs={"loss": Value()})
    assert 1 <= len(asked) <= 6


def test_a_bar_whose_values_come_late_is_drawn_all_the_same(monkeypatch):
    """Each batch takes longer than a drawing waits for the next, and its value two more."""
    use(monkeypatch, late_reader())
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    callback_list = callbacks.CallbackList([callbacks.ProgbarLogger()])
    callback_list.set_params({"verbose": 1, "epochs": 1, "steps": 20})
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    scalars = [LateScalar(float(batch)) for batch in range(20)]
    for batch, scalar in enumerate(scalars):
        time.sleep(0.06)
        if batch >= 2:
            scalars[batch - 2].ready = True
        callback_list.on_train_batch_end(batch, {"loss": scalar})
    assert terminal.getvalue().count("\r") >= 10
    assert not any(scalar.waits for scalar in scalars)


def test_an_array_is_shown_as_its_mean(monkeypatch):
    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            patch.setattr("time.time", Clock())
            patch.setattr(sys, "stdout", Terminal())
            run(module.ProgbarLogger(), 1, 100, logs={"loss": np.array([1.0, 2.0])})
            printed.append(sys.stdout.getvalue())
    assert printed[0] == printed[1]
    assert "loss: 1.5000" in printed[0]


def test_a_bar_of_ones_own_is_used(monkeypatch):
    """A subclass may make another bar, compiled or not."""

    class Wide(callbacks.ProgbarLogger):
        def _maybe_init_progbar(self):
            if self.progbar is None:
                self.progbar = keras.utils.Progbar(self.target, width=40, verbose=self.verbose)

    for wrap in (lambda logger: logger, lambda logger: callbacks.CallbackList([logger])):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            run(wrap(Wide()), epochs=1, steps=100)
            assert "━" * 40 in sys.stdout.getvalue()


SCRIPT = """
import keras, numpy as np
import fitwatch
fitwatch.enable()
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((64, 2))
model.fit(x, x[:, 0], epochs=2, validation_split=0.5)
model.evaluate(x, x[:, 0])
model.predict(x)
"""


def test_a_script_in_a_pipe_prints_no_control_characters():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert all(line.isprintable() for line in lines)
    assert len([line for line in lines if line.startswith("Epoch")]) == 2
    assert len([line for line in lines if re.match(r"[12]/[12] - ", line)]) == 4


def test_enable_makes_every_fit_draw_with_the_core(make_model, data, capsys):
    with fitwatch.enabled():
        make_model().fit(*data, epochs=1)
    assert "\x1b" not in capsys.readouterr().out


def test_one_line_of_a_compiled_list_has_the_time_of_all_steps(monkeypatch):
    """Keras leaves the first step out in the bar only."""
    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            listed = module.CallbackList([module.ProgbarLogger()])
            listed.set_params({"verbose": 2, "epochs": 1, "steps": 3})
            listed.on_train_begin()
            listed.on_epoch_begin(0)
            time.sleep(0.3)
            for batch in range(3):
                listed.on_train_batch_end(batch, {"loss": 0.5})
            listed.on_epoch_end(0, {"loss": 0.5})
            printed.append(terminal.getvalue())
    times = [int(re.search(r"(\d+)ms/step", text)[1]) for text in printed]
    assert times == pytest.approx([101, 101], abs=15)


def test_the_bar_can_be_added_to(monkeypatch):
    printed = []
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            patch.setattr("time.time", Clock())
            patch.setattr(sys, "stdout", Terminal())
            logger = module.ProgbarLogger()
            logger.set_params({"verbose": 1, "epochs": 1, "steps": 4})
            logger.on_epoch_begin(0)
            for _ in range(4):
                logger.progbar.add(1, [("loss", 0.5)])
            printed.append(sys.stdout.getvalue())
    assert printed[0] == printed[1]
    assert "4/4" in printed[0]


def test_what_is_not_shown_may_be_anything(capsys):
    run(callbacks.ProgbarLogger(), epochs=1, steps=100, verbose=0, logs={"phase": "warm-up"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verbose", [None, "1", 3, True, 1.0])
def test_verbosities_that_keras_takes(verbose, clock):
    printed = []
    for module in (callbacks, keras.callbacks):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            run(module.ProgbarLogger(), 1, 100, verbose=verbose, clock=clock, pause=0.25)
            printed.append(sys.stdout.getvalue())
    assert printed[0] == printed[1]


class Writes(keras.callbacks.Callback):
    """Puts something into the logs of batches that the logs of the epoch do not have."""

    def on_train_batch_end(self, batch, logs=None):
        logs["mine"] = 70.0 + batch
        if batch == 3:
            logs["once"] = 5.0

    def on_test_batch_end(self, batch, logs=None):
        logs["tested"] = float(batch)


def finished(text):
    """The last state of each line, without times."""
    text = re.sub(r"\x1b\[[0-9;]*m|━+ ?", "", re.sub(r" - \d+s - ", " 0s ", text))
    text = re.sub(r"\d+s? \d+[mu]?s/step|\d+[mu]?s/step", "TIME", text)
    lines = [line.split("\r")[-1].strip() for line in text.replace("\b", "").split("\n")]
    return [" ".join(line.split()) for line in lines if "TIME" in line]


@pytest.mark.parametrize("where", ["terminal", "pipe"])
@pytest.mark.parametrize("verbose", [1, 2])
def test_what_only_batches_have_is_right_on_the_finished_line(
    where, verbose, make_model, data, monkeypatch
):
    """As in Keras, which keeps what was in the logs of any batch: here only some are drawn."""

    def printed():
        with monkeypatch.context() as patch:
            screen = Terminal() if where == "terminal" else io.StringIO()
            patch.setattr(sys, "stdout", screen)
            model = make_model(run_eagerly=keras.config.backend() == "tensorflow")
            # Its rate is in the logs of the epoch only, behind those of the validation.
            rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)
            options = {"epochs": 2, "validation_data": data}
            model.fit(*data, batch_size=4, verbose=verbose, callbacks=[Writes(), rates], **options)
            model.fit(*data, batch_size=4, verbose=verbose, callbacks=[rates], **options)
            model.evaluate(*data, batch_size=4, verbose=verbose, callbacks=[Writes()])
        return finished(screen.getvalue())

    theirs = printed()
    with fitwatch.enabled():
        ours = printed()
    assert ours == theirs
    assert len(ours) == 5
    assert "learning_rate" in ours[0]
    assert ("mine: 84.0000 - once: 5.0000" in ours[0]) == (verbose == 1)
    assert ("tested: 14.0000" in ours[4]) == (verbose == 1)


def test_a_callback_behind_the_bar_is_not_seen_by_it(monkeypatch):
    for module in (callbacks, keras.callbacks):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            listed = module.CallbackList([module.ProgbarLogger(), Writes()])
            run(listed, epochs=1, steps=100)
            assert "mine" not in sys.stdout.getvalue()


@pytest.mark.parametrize("where", ["terminal", "pipe"])
def test_the_validation_inside_fit_is_shown_where_asked(where, make_model, data, monkeypatch):
    """Over the line of the epoch, which is Keras's again when it has ended."""

    def printed(**settings):
        with monkeypatch.context() as patch:
            screen = Terminal() if where == "terminal" else io.StringIO()
            patch.setattr(sys, "stdout", screen)
            model = make_model()
            with fitwatch.enabled(max_lag=0, **settings):
                model.fit(*data, batch_size=20, epochs=2, validation_data=data,
                          validation_batch_size=6)  # fmt: skip
        return screen.getvalue()

    without, shown = printed(), printed(validation_progress=True)
    assert "validation" not in without
    assert finished(shown) == finished(without)
    if where == "pipe":
        assert "validation" not in shown  # it lasts less than ten seconds
        return
    states = [state for state in shown.split("\r") if state.startswith("validation ")]
    assert states
    assert re.match(r"validation \x1b\[1m *\d+/10\x1b\[0m ", states[0])
    assert " - loss: " in states[0]
    # Each drawing covers all of the one before it.
    lines = re.sub(r"\x1b\[[0-9;]*m|\x08", "", shown.split("\n")[1]).split("\r")[1:]
    assert all(len(new) >= len(old.rstrip()) for old, new in itertools.pairwise(lines))


def test_a_long_validation_has_a_line_every_ten_seconds_in_a_pipe(capsys, clock):
    bar = callbacks.ProgbarLogger()
    with fitwatch.enabled(validation_progress=True):
        bar.set_params({"verbose": 1, "epochs": 1, "steps": 1})
        bar.on_train_begin()
        bar.on_epoch_begin(0)
        bar.on_train_batch_end(0, {"loss": 0.5})
        bar.on_test_begin()
        for batch in range(9):
            clock.now += 4.0
            bar.on_test_batch_end(batch, {"loss": 0.25})
        bar.on_test_end({"loss": 0.25})
        bar.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    assert capsys.readouterr().out == (
        "validation       3/Unknown - 12s - 4s/step - loss: 0.2500\n"
        "validation       6/Unknown - 24s - 4s/step - loss: 0.2500\n"
        "validation       9/Unknown - 36s - 4s/step - loss: 0.2500\n"
        "1/1 - 36s - 36s/step - loss: 0.5000 - val_loss: 0.2500\n"
    )


def test_evaluate_and_quiet_fits_are_as_ever(make_model, data, capsys):
    model = make_model()
    with fitwatch.enabled(validation_progress=True):
        model.fit(*data, verbose=0, validation_data=data)
        model.fit(*data, verbose=2, validation_data=data)
        model.evaluate(*data)
    out = capsys.readouterr().out
    assert "validation" not in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("value", ["yes", 3])
def test_a_wrong_validation_progress(value):
    with pytest.raises(ValueError, match="validation_progress must be True or False"):
        fitwatch.enable(validation_progress=value)
