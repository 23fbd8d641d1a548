"""Saves of ModelCheckpoint that are due, and decided when the metric is available.

An epoch has six batches, so the optimizer's count in a file tells when the model was saved.
"""

import contextlib
import json
import os
import warnings

import h5py
import keras
import numpy as np
import pytest
from checkpoints import checkpoint, files

import fitwatch
from fitwatch import callbacks

each_list = pytest.mark.parametrize(
    "on", [fitwatch.enabled, contextlib.nullcontext], ids=["compiled", "stock list"]
)
each_frequency = pytest.mark.parametrize(
    "frequency",
    [{}, {"save_freq": 2}, {"save_interval_seconds": 1e-9}],
    ids=["epoch", "batches", "seconds"],
)
each_rule = pytest.mark.parametrize(
    "rule", [{"save_best_only": True}, {"max_to_keep": 1}], ids=["best", "kept"]
)


class Rewrites(keras.callbacks.Callback):
    """Sets the values of a metric in the logs of epochs, also where it is missing."""

    def __init__(self, values, name="val_loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


class Looks(keras.callbacks.Callback):
    """Counts the steps that the model in a file has had, after every epoch."""

    def __init__(self, path):
        super().__init__()
        self.path, self.found = path, []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(steps_of(self.path))


def steps_of(path):
    if not os.path.exists(path):
        return None
    with h5py.File(path) as file:
        return int(file["optimizer/vars/0"][()])


@pytest.fixture(scope="module")
def compiled_once():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model, model.get_weights()


@pytest.fixture
def run(compiled_once, data):
    """Trains a model that is new, but for what is compiled."""
    model, weights = compiled_once

    def run(on, path, listed, values, validation_freq=1):
        """With a validation of these values; gives the steps in the file after each epoch."""
        model.set_weights(weights)
        model.optimizer.iterations.assign(0)
        looks = Looks(path)
        with on():
            model.fit(
                *data,
                batch_size=10,
                epochs=len(values),
                verbose=0,
                validation_data=data if validation_freq else None,
                validation_freq=validation_freq or 1,
                callbacks=[Rewrites(values), *listed, looks],
            )
        return looks.found

    run.model = model
    return run


def warned_of(text, seen):
    return len([one for one in seen if text in str(one.message)])


@each_list
@each_frequency
@each_rule
@pytest.mark.parametrize(
    ("values", "validation_freq", "expected"),
    [
        ([5, 3, 4, 2], 1, [6, 12, 12, 24]),
        # Saved without a value until there is one; from then on only with a value.
        ([None, 5, None, 3, None, 4], 2, [6, 12, 12, 24, 24, 24]),
    ],
    ids=["every epoch", "every second"],
)
def test_the_file_is_the_best_model_of_all_validations(
    on, run, tmp_path, frequency, rule, values, validation_freq, expected
):
    path = tmp_path / "model.weights.h5"
    saver = checkpoint(path, **frequency, **rule)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = run(on, path, [saver], values, validation_freq)
    assert found == expected
    assert warned_of("'val_loss' is not available", seen) == (validation_freq > 1)
    why = "Validation metrics exist only when a validation has run."
    assert warned_of(why, seen) == (validation_freq > 1)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"save_best_only": True}, "Without it the model is not saved"),
        ({"max_to_keep": 1}, "saved while fewer than 1 are kept"),
    ],
)
def test_a_metric_that_comes_no_more(run, tmp_path, rule, message):
    path = tmp_path / "model.weights.h5"
    with pytest.warns(UserWarning, match=f"'val_loss' is not available.*{message}") as seen:
        found = run(fitwatch.enabled, path, [checkpoint(path, **rule)], [5, None, None], [1])
    assert found == [6, 6, 6]
    assert warned_of("not available", seen) == 1


def test_stock_keras_saves_over_the_best_model(run, tmp_path):
    path = tmp_path / "model.weights.h5"
    saver = keras.callbacks.ModelCheckpoint(path, save_best_only=True, save_weights_only=True)
    values = [None, 5, None, 3, None, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run(contextlib.nullcontext, path, [saver], values, 2)
    assert found == [6, 12, 18, 24, 30, 30]


@each_rule
@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ({}, [6, 12, 18]),
        ({"save_freq": 2}, [6, 12, 18]),
        # It is known from the beginning that there is no validation: nothing waits for it.
        ({"save_freq": 4}, [4, 12, 16]),
        ({"save_interval_seconds": 1e-9}, [6, 12, 18]),
        ({"save_interval_epochs": 2}, [None, 12, 12]),
    ],
)
def test_without_a_validation_the_newest_model_is_saved(run, tmp_path, frequency, expected, rule):
    path = tmp_path / "model.weights.h5"
    saver = checkpoint(path, **frequency, **rule)
    with pytest.warns(UserWarning, match="val_loss.*only when a validation has run") as seen:
        found = run(fitwatch.enabled, path, [saver], [None] * 3, None)
    if "save_interval_seconds" in frequency:
        # A fast batch may pass without a look at the clock.
        assert all(6 * epoch < steps <= 6 * epoch + 6 for epoch, steps in enumerate(found))
    else:
        assert found == expected
    assert warned_of("not available", seen) == 1


@each_frequency
@each_rule
def test_a_model_without_a_value_replaces_no_file_of_an_earlier_run(run, tmp_path, frequency, rule):
    path = tmp_path / "model.weights.h5"
    run.model.optimizer.iterations.assign(0)
    run.model.save_weights(path)
    saver = checkpoint(path, **frequency, **rule)
    with pytest.warns(UserWarning, match="not over a file of an earlier run"):
        found = run(fitwatch.enabled, path, [saver], [None] * 3, None)
    assert found == [0, 0, 0]
    # A model with a value counts more than one without.
    found = run(fitwatch.enabled, path, [checkpoint(path, **frequency, **rule)], [3, 4])
    assert found == [6, 6]


def test_two_files_of_an_epoch_with_a_value_are_not_replaced_by_one_without(make_model, tmp_path):
    """There is room for it; but it is named like one that was judged."""
    saver = checkpoint(tmp_path / "{epoch}.weights.h5", monitor="f1", mode="max", max_to_keep=5)
    saver.set_model(make_model())
    saver.on_train_begin()
    for logs in ({"f1": 0.5}, {}):
        saver.on_epoch_begin(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saver.on_epoch_end(0, logs)
    (index,) = tmp_path.glob("*.index.json")
    assert [file["value"] for file in json.loads(index.read_text())["files"]] == [0.5]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.3, 0.2], [6, 12, 12]),
        # The second epoch saves at once, without a value; the third one has the first.
        ([None, 0.3, 0.2], [6, 12, 18]),
    ],
    ids=["from the first epoch on", "later"],
)
def test_a_metric_that_another_callback_adds_at_the_end_of_the_epoch(
    run, tmp_path, values, expected
):
    path = tmp_path / "model.weights.h5"
    saver = checkpoint(path, monitor="f1", mode="max", save_best_only=True, save_freq=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run(fitwatch.enabled, path, [Rewrites(values, "f1"), saver], [None] * 3, None)
    assert found == expected


@pytest.mark.parametrize(
    ("brings", "expected"),
    [
        ([5, 3, 4], ["1-3", "2-3"]),
        # Due after batches 2, 1 and 3, 2: at once in the second epoch, which brings the metric.
        ([None, 3, 4], ["1-3", "2-1", "2-3", "3-3"]),
    ],
)
def test_a_loop_of_the_users_own(make_model, tmp_path, brings, expected):
    """Whether the metric comes is known when the first epoch has ended."""
    saver = checkpoint(tmp_path / "{epoch}-{batch}.weights.h5", save_best_only=True, save_freq=2)
    made = callbacks.CallbackList([saver], model=make_model())
    made.on_train_begin()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epoch, value in enumerate(brings):
            made.on_epoch_begin(epoch)
            for batch in range(3):
                made.on_train_batch_begin(batch)
                made.on_train_batch_end(batch, {"loss": 1.0})
            made.on_epoch_end(epoch, {"loss": 1.0} if value is None else {"val_loss": value})
        made.on_train_end()
    assert files(tmp_path) == [f"{name}.weights.h5" for name in expected]


@each_list
@pytest.mark.parametrize("frequency", [{"save_freq": 4}, {"save_interval_seconds": 1e-9}])
def test_the_batch_in_the_name_is_the_last_one_of_the_epoch(on, run, tmp_path, frequency):
    path = tmp_path / "{epoch}-{batch}.weights.h5"
    run(on, path, [checkpoint(path, max_to_keep=9, **frequency)], [3, 2])
    names = [name for name in files(tmp_path) if not name.endswith("json")]
    assert names == ["1-6.weights.h5", "2-6.weights.h5"]


@each_list
@pytest.mark.filterwarnings("ignore:.*not available")
@pytest.mark.parametrize("frequency", [{}, {"save_freq": 4}])
def test_a_terminate_on_nan_keeps_a_save_that_is_put_off_from_spoiling_the_file(
    on, run, tmp_path, frequency
):
    path, first = tmp_path / "model.weights.h5", 1
    saver = checkpoint(path, save_best_only=True, **frequency)

    class Spoils(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == first:
                weights = self.model.get_weights()
                self.model.set_weights([np.full_like(weight, np.nan) for weight in weights])

    with pytest.warns(UserWarning, match="not saved, and earlier files are kept"):
        found = run(on, path, [Spoils(), callbacks.TerminateOnNaN(), saver], [5, 3])
    assert found == [6, 6]
    assert saver.best == 5
    path.unlink()
    first = 0
    # A model without a value is guarded as well.
    saver = checkpoint(path, save_best_only=True)
    with pytest.warns(UserWarning, match="not saved, and earlier files are kept"):
        found = run(on, path, [Spoils(), callbacks.TerminateOnNaN(), saver], [None] * 2, None)
    assert found == [None, None]


class Interrupts(keras.callbacks.Callback):
    """Ends the run after a batch, as if the process had died."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise InterruptedError


@each_list
@pytest.mark.parametrize("exact", [True, False])
def test_a_save_that_is_due_in_an_epoch_that_is_interrupted_stays_due(on, run, tmp_path, exact):
    """It was due after the third batch of the epoch, and the backup is one of the fourth."""
    path = tmp_path / "model.weights.h5"
    steps = []
    for interrupt in ([Interrupts(1, 4)], []):
        saver = checkpoint(path, save_best_only=True, save_freq=9)
        backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=5, exact=exact)
        end = pytest.raises(InterruptedError) if interrupt else contextlib.nullcontext()
        with end:
            steps = run(on, path, [saver, backup, *interrupt], [5, 3])
        assert interrupt or saver.best == 3
    # Without `exact` the epoch is trained anew, on the weights from its middle.
    assert steps[-1] == (12 if exact else 16)


@each_list
@pytest.mark.parametrize(
    ("validation_freq", "values", "expected"),
    [(2, [None, 5, None, 4], [12, 24]), (None, [None] * 4, [18, 24])],
    ids=["judged", "not judged"],
)
def test_a_run_that_goes_on_knows_what_was_judged_and_which_files_are_its_own(
    on, run, tmp_path, validation_freq, values, expected
):
    path = tmp_path / "model.weights.h5"
    for interrupt in ([Interrupts(2, 0)], []):
        saver = checkpoint(path, save_best_only=True)
        backup = callbacks.BackupAndRestore(tmp_path / "backup")
        end = pytest.raises(InterruptedError) if interrupt else contextlib.nullcontext()
        with warnings.catch_warnings(), end:
            warnings.simplefilter("ignore")
            listed = [saver, backup, *interrupt]
            found = run(on, path, listed, values, validation_freq)
    assert found == expected


# Fields of the path.


@each_list
@pytest.mark.parametrize(
    ("options", "template", "expected"),
    [
        ({"save_best_only": True}, "{epoch}-{val_loss:.1f}", ["2-5.0", "6-3.0"]),
        ({}, "{epoch}-{val_loss:.1f}", ["2-5.0", "4-6.0", "6-3.0"]),
        ({"max_to_keep": 2}, "{epoch}-{val_loss:.1f}", ["2-5.0", "6-3.0"]),
        (
            {"save_freq": 4},
            "{epoch}-{batch}-{val_loss:.1f}",
            ["2-6-5.0", "4-6-6.0", "6-6-3.0"],
        ),
        (
            {"save_freq": 4, "monitor": "loss", "save_best_only": True},
            "{epoch}-{val_loss:.1f}",
            ["2-5.0", "4-6.0", "6-3.0"],
        ),
        ({"save_interval_seconds": 1e-9}, "{batch}-{val_loss:.1f}", ["6-3.0", "6-5.0", "6-6.0"]),
    ],
)
def test_a_field_of_a_validation_that_has_not_run_puts_the_save_off(
    on, run, tmp_path, options, template, expected
):
    saver = checkpoint(tmp_path / f"{template}.weights.h5", **options)
    values = [None, 5, None, 6, None, 3]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(on, "none", [saver], values, 2)
    names = [name for name in files(tmp_path) if not name.endswith("json")]
    assert names == [f"{name}.weights.h5" for name in expected]
    assert warned_of("only when a validation has run", seen) == 1


@pytest.mark.parametrize("best", [True, False])
def test_stock_keras_dies_of_that(run, tmp_path, best):
    saver = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{val_loss:.2f}.keras", save_best_only=best
    )
    with pytest.raises(KeyError, match="val_loss"):
        run(contextlib.nullcontext, "none", [saver], [None, 5], 2)


@pytest.mark.filterwarnings("ignore:.*not available")
@pytest.mark.parametrize("field", ["typo", "val_typo"])
@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize(
    ("frequency", "batches"),
    [({}, 6), ({"save_freq": 10**9}, 1), ({"save_interval_seconds": 3600}, 1)],
)
def test_a_field_that_will_never_be_filled_in_is_an_error(
    run, tmp_path, field, best, frequency, batches
):
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    saver = checkpoint(
        tmp_path / f"{{{field}}}-{{val_loss}}.weights.h5", save_best_only=best, **frequency
    )
    with pytest.raises(KeyError, match=rf"without a value: .*{field}"):
        run(fitwatch.enabled, "none", [watch, saver], [None, 5], 2)
    # What a validation might bring is known to be missing once one has run.
    assert len(seen) == (12 if field.startswith("val_") else batches)


def test_a_field_of_the_metric_that_is_judged_may_be_missing_later(run, tmp_path):
    """No file name is needed if the metric is missing after it has had a value."""
    saver = checkpoint(
        tmp_path / "{epoch}-{f1}.weights.h5", monitor="f1", mode="max", save_best_only=True
    )
    with pytest.warns(UserWarning, match="'f1' is not available"):
        run(fitwatch.enabled, "none", [Rewrites([0.5, None, 0.75], "f1"), saver], [None] * 3, None)
    assert files(tmp_path) == ["1-0.5.weights.h5", "3-0.75.weights.h5"]


@pytest.mark.filterwarnings("ignore:.*(is not available|needs val_loss)")
def test_what_one_fit_has_brought_is_not_expected_of_the_next(run, tmp_path):
    path = tmp_path / "{epoch}-{val_loss}.weights.h5"
    saver = checkpoint(path, save_freq=4)
    run(fitwatch.enabled, "none", [saver], [None, 5], 2)
    assert files(tmp_path) == ["2-5.weights.h5"]
    with pytest.raises(KeyError, match="without a value: val_loss"):
        run(fitwatch.enabled, "none", [saver], [None], None)

    # A metric that was missing before may still come.
    path = tmp_path / "model.weights.h5"
    saver = checkpoint(path, monitor="f1", mode="max", save_freq=4, max_to_keep=1)
    assert run(fitwatch.enabled, path, [saver], [None], None) == [6]
    assert run(fitwatch.enabled, path, [Rewrites([0.5], "f1"), saver], [None], None) == [6]
    (index,) = tmp_path.glob("*.index.json")
    assert json.loads(index.read_text())["files"][0]["value"] == 0.5


def test_a_subclass_that_names_files_itself(run, tmp_path):
    class Names(callbacks.ModelCheckpoint):
        def _get_file_path(self, epoch, batch, logs):
            return str(tmp_path / f"{epoch}-{(logs or {}).get('val_loss', 'none')}.keras")

    saver = Names(tmp_path / "{val_loss}.keras")
    run(contextlib.nullcontext, "none", [saver], [None, 5], 2)
    assert files(tmp_path) == ["0-none.keras", "1-5.keras"]


@pytest.mark.filterwarnings("ignore:.*needs val_bleu")
@pytest.mark.parametrize("best", [True, False])
def test_a_metric_of_validations_alone_may_name_the_file(run, tmp_path, best):
    """No training metric of that name announces it; only a validation that has run does."""
    path = tmp_path / "{epoch}-{val_bleu}.weights.h5"
    saver = checkpoint(path, monitor="val_bleu", mode="max", save_best_only=best)
    bleu = Rewrites([None, 0.5, None, 0.75], "val_bleu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not available")
        run(fitwatch.enabled, "none", [bleu, saver], [None, 5, None, 3], 2)
    assert files(tmp_path) == ["2-0.5.weights.h5", "4-0.75.weights.h5"]
