"""Validation: the model is evaluated inside an epoch, and the training goes on unchanged."""

import time
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch import callbacks

BACKEND = keras.config.backend()
LISTS = {"compiled": callbacks.CallbackList, "stock": keras.callbacks.CallbackList}
SAMPLES, SIZE = 76, 4
STEPS = 19
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True) + RNG.normal(size=(SAMPLES, 1)).astype("float32")
VALIDATION = X[:10] + 1, Y[:10]
OTHER = X[:6] - 1, Y[:6]

both_lists = pytest.mark.parametrize("kind", LISTS)
several_steps = pytest.param(
    4, marks=pytest.mark.skipif(BACKEND == "torch", reason="one batch in a call on torch")
)


@keras.saving.register_keras_serializable()
class Noise(keras.layers.Layer):
    """Samples at inference too."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + 0.5 * keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def random_model(**options):
    """A model with everything that an evaluation may disturb."""
    keras.utils.set_random_seed(1)
    layers = [Noise(), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], **options)
    return model


def linear_model(**options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse", **options)
    return model


def fit(model, watching, kind="compiled", *, epochs=2, **options):
    watching = LISTS[kind](watching, model=model, add_history=True, epochs=epochs, verbose=0)
    options = {"x": X, "y": Y, "batch_size": SIZE, "validation_data": VALIDATION} | options
    return model.fit(epochs=epochs, callbacks=watching, **options).history


class Told(keras.callbacks.Callback):
    """What a user's callback is told, with the true loss at that time."""

    def __init__(self, data=VALIDATION):
        super().__init__()
        self.data = data
        self.batches, self.logs, self.losses = [], [], []
        self.order, self.evaluations = [], 0

    def on_train_batch_end(self, batch, logs=None):
        self.order.append(batch)

    def on_test_begin(self, logs=None):
        self.evaluations += 1

    def on_epoch_end(self, epoch, logs=None):
        self.order.append("epoch")

    def on_validation_end(self, batch, logs):
        self.order.append("validation")
        self.batches.append(batch)
        self.logs.append(dict(logs))
        kernel, bias = self.model.get_weights()
        x, y = self.data
        self.losses.append(float(np.mean((x @ kernel + bias - y) ** 2)))


def of(logs, name):
    return [one.get(name) for one in logs]


def state(model):
    """All that training has brought about."""
    seeds = [v for v in model.variables if "seed" in v.path]
    variables = [*model.weights, *model.optimizer.variables, *seeds]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.mark.parametrize("at_a_time", [1, several_steps])
@both_lists
def test_the_training_goes_on_as_without(kind, at_a_time):
    def trained(*watching):
        model = random_model(**({} if at_a_time == 1 else {"steps_per_execution": at_a_time}))
        losses = callbacks.LossHistory()
        history = fit(model, [losses, *watching], kind)
        return history, losses.losses, state(model), np.random.random()

    history, losses, weights, drawn = trained()
    validation = callbacks.Validation(every=3)
    history_with, losses_with, weights_with, drawn_with = trained(validation)
    assert len(validation.history["batch"]) >= 10
    np.testing.assert_array_equal(losses_with, losses)
    assert [history_with[name] for name in ("loss", "mae")] == [history["loss"], history["mae"]]
    assert drawn_with == drawn
    for ours, theirs in zip(weights_with, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@both_lists
def test_who_is_told_what_and_when(kind):
    told, validation = Told(), callbacks.Validation(every=5)
    history = fit(linear_model(), [told, validation], kind)
    # 18 and 37 are the last batches of epochs.
    assert told.batches == validation.history["batch"] == [4, 9, 14, 18, 19, 24, 29, 34, 37]
    assert validation.history["epoch"] == [0] * 4 + [1] * 5
    assert told.evaluations == 9
    np.testing.assert_allclose(of(told.logs, "val_loss"), told.losses, rtol=1e-5)
    assert validation.history["val_loss"] == of(told.logs, "val_loss")
    assert [validation.history["val_loss"][at] for at in (3, 8)] == history["val_loss"]
    assert None not in of(told.logs, "loss")
    first = told.order.index("epoch")
    assert told.order[4:6] == [4, "validation"]
    assert told.order[first - 2 : first] == [18, "validation"]


@pytest.mark.skipif(BACKEND == "torch", reason="one batch in a call on torch")
@both_lists
def test_calls_of_several_batches(kind):
    told, validation = Told(), callbacks.Validation(every=6)
    fit(linear_model(steps_per_execution=4), [told, validation], kind)
    # Calls end with batches 3, 7, 11, 15 and 18.
    assert told.batches == [7, 11, 18, 26, 30, 37]
    np.testing.assert_allclose(of(told.logs, "val_loss"), told.losses, rtol=1e-5)


@both_lists
def test_a_validation_that_is_due_with_the_epochs_own(kind):
    told = Told()
    fit(linear_model(), [told, callbacks.Validation(every=STEPS)], kind, validation_freq=2)
    assert (told.batches, told.evaluations) == ([18, 37], 2)  # the first one is not the epoch's


class Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 5:
            self.model.stop_training = True


def test_a_stop_at_the_same_batch():
    told = Told()
    fit(linear_model(), [Stops(), told, callbacks.Validation(every=6)])
    assert (told.batches, told.evaluations) == ([5], 1)


def test_data_of_unknown_length():
    def batches():
        for first in range(0, 24, SIZE):
            yield X[first : first + SIZE], Y[first : first + SIZE]

    told, validation = Told(), callbacks.Validation(every=3)
    own = {"x": batches(), "y": None, "batch_size": None, "epochs": 1}
    fit(linear_model(), [told, validation], **own)
    # `fit()` evaluates the same weights again.
    assert (told.batches, told.evaluations) == ([2, 5], 3)
    assert validation.history["batch"] == [2, 5]


@both_lists
def test_other_data_beside_those_of_fit(kind):
    told = Told(OTHER)
    test = callbacks.Validation(every=19, validation_data=OTHER, name="test")
    stopping = callbacks.EarlyStopping("val_loss", unit="validation", patience=100)
    watching = [told, callbacks.Validation(every=10), test, stopping]
    history = fit(linear_model(), watching, kind)
    assert test.history["batch"] == [18, 37]
    seen = [(loss, logs) for loss, logs in zip(told.losses, told.logs, strict=True)]
    tested = [(loss, logs["test_loss"]) for loss, logs in seen if "test_loss" in logs]
    np.testing.assert_allclose(*np.transpose(tested), rtol=1e-5)
    assert sorted(history) == ["loss", "val_loss"]
    assert stopping._fitwatch.batches.seen == 5  # after 9, 18, 19, 29 and 37


@both_lists
def test_a_loop_of_ones_own(kind):
    model, told = linear_model(), Told()
    validation = callbacks.Validation(every=2, validation_data=VALIDATION, batch_size=5)
    watching = LISTS[kind]([validation, told], model=model, verbose=0)
    watching.on_train_begin()
    for epoch in range(2):
        watching.on_epoch_begin(epoch)
        for batch in range(3):
            watching.on_train_batch_begin(batch)
            logs = model.train_on_batch(X[:4], Y[:4], return_dict=True)
            watching.on_train_batch_end(batch, logs)
        watching.on_epoch_end(epoch, {})
    watching.on_train_end()
    assert told.batches == validation.history["batch"] == [1, 3, 5]
    assert validation.history["epoch"] == [0, 1, 1]
    np.testing.assert_allclose(validation.history["val_loss"], told.losses, rtol=1e-5)


def test_steps_take_the_first_batches_each_time():
    told = Told((VALIDATION[0][:4], VALIDATION[1][:4]))
    validation = callbacks.Validation(
        every=5, validation_data=VALIDATION, steps=2, batch_size=2, name="few"
    )
    fit(linear_model(), [told, validation], epochs=1, validation_freq=2)
    assert told.batches == [4, 9, 14]
    np.testing.assert_allclose(of(told.logs, "few_loss"), told.losses, rtol=1e-5)


def test_validation_split():
    history = fit(
        linear_model(),
        [callbacks.Validation(every=4)],
        validation_data=None,
        validation_split=0.25,
        epochs=1,
    )
    assert len(history["val_loss"]) == 1


def test_without_data():
    with pytest.raises(ValueError, match="Validation needs data: give fit"):
        fit(linear_model(), [callbacks.Validation()], validation_data=None)
    with pytest.raises(ValueError, match="name must be 'val' without validation_data"):
        callbacks.Validation(name="test")
    with pytest.raises(ValueError, match="steps must be None without validation_data"):
        callbacks.Validation(steps=3)


@pytest.mark.parametrize("names", [["val"], ["test", "test"], ["val_2"], ["test", "test_2"]])
def test_names_that_others_have(names):
    watching = [callbacks.Validation(validation_data=OTHER, name=name) for name in names]
    with pytest.raises(ValueError, match="name must be another one than"):
        fit(linear_model(), watching)


@both_lists
def test_without_any_validation_to_wait_for(kind, tmp_path):
    path = tmp_path / "best.weights.h5"
    waiting = [
        callbacks.EarlyStopping("val_loss", unit="validation"),
        callbacks.ReduceLROnPlateau("val_loss", unit="validation"),
        callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq="validation"),
    ]
    with pytest.warns(UserWarning, match="waits for validations, but there are none") as warned:
        fit(linear_model(), waiting, kind, validation_data=None, epochs=1)
    assert len(warned) == 3


def test_monitors_know_the_direction_of_other_names():
    test = callbacks.Validation(every=6, validation_data=OTHER, name="test")
    stopping = callbacks.EarlyStopping(
        ["test_mae", "val_loss"], unit="validation", patience=2, min_delta=1e6, combine="all"
    )
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    fit(model, [test, stopping], epochs=9)
    # Each metric is judged where its own validation has run.
    assert stopping.stop_reason == ("test_mae, val_loss have not improved for 2 validations")
    assert stopping.stopped_batch == 3 * STEPS - 1


class Draws(keras.utils.PyDataset):
    """Draws random numbers in the thread that reads ahead, slowly."""

    def __init__(self):
        super().__init__(workers=1)
        self.drawn = []

    def __len__(self):
        return 12

    def __getitem__(self, batch):
        time.sleep(0.002)
        noise = np.random.normal(size=(SIZE, 3)).astype("float32")
        self.drawn.append(float(noise[0, 0]))
        rows = slice(batch * SIZE, (batch + 1) * SIZE)
        return X[rows] + noise, Y[rows]


def test_data_that_a_thread_reads_ahead_are_not_drawn_twice():
    data = Draws()
    own = {"x": data, "y": None, "batch_size": None, "shuffle": False}
    fit(linear_model(), [callbacks.Validation(every=3)], **own)
    assert len(set(data.drawn)) == len(data.drawn)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX refuses such layers")
def test_layers_without_a_seed_of_their_own():
    class Unseeded(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    def trained(*watching):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), Unseeded(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        fit(model, watching)
        return state(model)

    for ours, theirs in zip(trained(callbacks.Validation(every=5)), trained(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@both_lists
def test_averages_of_weights_are_saved_as_they_were_evaluated(kind, tmp_path):
    def trained(*watching):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.9), "mse")
        fit(model, [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), *watching], kind)
        return model

    best = callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        save_weights_only=True,
        save_best_only=True,
        save_freq="validation",
    )
    ours = trained(callbacks.Validation(every=5), best)
    for one, other in zip(state(ours), state(trained()), strict=True):
        np.testing.assert_array_equal(one, other)
    ours.load_weights(tmp_path / "best.weights.h5")
    assert ours.evaluate(*VALIDATION, verbose=0) == pytest.approx(best.best, rel=1e-5)


def test_who_has_the_hook():
    seen = []

    class Own(callbacks.History):
        def on_validation_end(self, batch, logs):
            seen.append("subclass")

    by_attribute = keras.callbacks.LambdaCallback(
        on_validation_end=lambda batch, logs: seen.append(batch)
    )
    mock = MagicMock()
    fit(linear_model(), [by_attribute, Own(), mock], epochs=1)
    # Without a Validation in the list, they are told about those of `fit()`.
    assert seen == [18, "subclass"]
    mock.on_train_end.assert_called_once()
    mock.on_validation_end.assert_not_called()


def test_an_evaluation_that_fails_leaves_the_training_as_it_was():
    class Fails(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise RuntimeError("no such sample")

    model, weights = random_model(), []

    class Keeps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights[:] = [*self.model.get_weights(), float(logs["loss"])]

    with pytest.raises(RuntimeError, match="no such sample"):
        fit(model, [Keeps(), Fails(), callbacks.Validation(every=5)])
    for now, before in zip(model.get_weights(), weights, strict=False):
        np.testing.assert_array_equal(now, before)
    assert float(model.get_metrics_result()["loss"]) == pytest.approx(weights[-1])


# Callbacks that count validations.


def keras_decisions(make, values, name="val_loss"):
    """Keras's callback, told the values as those of epochs; how many it saw, and the callback."""
    theirs, model = make(), linear_model()
    theirs.set_model(model)
    theirs.on_train_begin()
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {name: value, "loss": 1.0})
        if model.stop_training:
            return epoch + 1, theirs, model
    return len(values), theirs, model


@both_lists
def test_early_stopping(kind):
    validation, model = callbacks.Validation(every=4), linear_model()
    options = {"patience": 3, "min_delta": 0.3, "start_from_epoch": 2}
    ours = callbacks.EarlyStopping(
        "val_loss", unit="validation", restore_best_weights=True, **options
    )
    told = Told()
    fit(model, [told, validation, ours], kind, epochs=9)
    values = validation.history["val_loss"]
    seen, theirs, _ = keras_decisions(
        lambda: keras.callbacks.EarlyStopping("val_loss", **options), values
    )
    # The epoch that a stop inside it has ended is validated by `fit()`.
    assert len(values) - seen in (0, 1)
    assert (ours.best, ours.stop_reason) == (
        theirs.best,
        "val_loss has not improved for 3 validations",
    )
    assert ours.stopped_batch == validation.history["batch"][seen - 1]
    best = validation.history["batch"][values.index(ours.best)]
    assert ours.best_batch == best
    loss = model.evaluate(*VALIDATION, verbose=0)
    assert loss == pytest.approx(ours.best, rel=1e-5)


def test_early_stopping_by_the_validations_of_fit():
    stopping = callbacks.EarlyStopping("val_loss", unit="validation", patience=2, min_delta=1e6)
    history = fit(linear_model(), [stopping], epochs=9)
    assert (len(history["loss"]), stopping.stopped_batch) == (3, 3 * STEPS - 1)


@both_lists
def test_reduce_lr_on_plateau(kind):
    options = {"patience": 2, "min_delta": 0.3, "cooldown": 1, "factor": 0.5}
    validation = callbacks.Validation(every=4)
    ours, model = callbacks.ReduceLROnPlateau(unit="validation", **options), linear_model()
    fit(model, [validation, ours], kind, epochs=4)
    values = validation.history["val_loss"]
    _, theirs, other = keras_decisions(lambda: keras.callbacks.ReduceLROnPlateau(**options), values)
    assert len(ours.reductions) >= 2
    assert float(model.optimizer.learning_rate) == float(other.optimizer.learning_rate)
    assert (ours.wait, ours.cooldown_counter) == (theirs.wait, theirs.cooldown_counter)
    assert set(ours.reductions) <= set(validation.history["batch"])


@both_lists
def test_model_checkpoint(kind, tmp_path):
    validation = callbacks.Validation(every=5)
    every = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{batch}-{val_loss:.3f}.weights.h5",
        save_weights_only=True,
        save_freq="validation",
    )
    best = callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        save_weights_only=True,
        save_best_only=True,
        save_freq="validation",
    )
    model = linear_model()
    fit(model, [validation, every, best], kind)
    history = validation.history
    names = {
        f"{epoch + 1}-{batch + 1 - epoch * STEPS}-{loss:.3f}.weights.h5"
        for epoch, batch, loss in zip(
            history["epoch"], history["batch"], history["val_loss"], strict=True
        )
    }
    assert {path.name for path in tmp_path.iterdir()} == names | {"best.weights.h5"}
    model.load_weights(tmp_path / "best.weights.h5")
    assert model.evaluate(*VALIDATION, verbose=0) == pytest.approx(min(history["val_loss"]))
    assert best.best == min(history["val_loss"])


@both_lists
def test_files_and_records(kind, tmp_path):
    validation, losses = callbacks.Validation(every=8), callbacks.LossHistory()
    board = callbacks.TensorBoard(tmp_path / "logs", update_freq=6, write_events=True)
    csv = callbacks.CSVLogger(tmp_path / "log.csv", update_freq=6)
    fit(linear_model(), [csv, board, losses, validation], kind)
    batches, values = validation.history["batch"], validation.history["val_loss"]
    assert batches == [7, 15, 18, 23, 31, 37]
    runs = fitwatch.read(tmp_path / "logs")
    points = runs["validation"].scalars["batch_loss"]
    assert points.steps.tolist() == [batch + 1 for batch in batches]
    np.testing.assert_allclose(points.values, values, rtol=1e-6)
    assert runs["validation"].scalars["evaluation_loss_vs_iterations"].steps.size == 6
    texts = runs["train"].text["fitwatch/validation"]
    assert [text.step for text in texts] == [batch + 1 for batch in batches]
    header, *rows = (line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines())
    assert header == ["epoch", "batch", "loss", "val_loss"]
    inside = [row for row in rows if row[1] != "NA" and row[3] != "NA"]
    assert [(int(row[0]), int(row[1])) for row in inside] == [(0, 7), (0, 15), (1, 4), (1, 12)]
    assert [float(row[3]) for row in inside] == [values[at] for at in (0, 1, 3, 4)]
    assert {row[2] for row in inside} == {"NA"}
    assert losses._fitwatch.record.validation == list(zip(batches, values, strict=True))


def test_nothing_new_in_files_without_it(tmp_path):
    fit(linear_model(), [callbacks.TensorBoard(tmp_path, update_freq=1)], epochs=1)
    tags = [*fitwatch.read(tmp_path)["validation"].scalars]
    assert sorted(tags) == ["epoch_loss", "evaluation_loss_vs_iterations"]


def test_the_bar_shows_the_newest(capsys):
    class Progress(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 6:
                bar.progbar.draw(7, logs.items())

    bar = callbacks.ProgbarLogger()
    keras.utils.enable_interactive_logging()
    model = linear_model()
    watching = callbacks.CallbackList(
        [bar, callbacks.Validation(every=5), Progress()],
        add_history=True,
        model=model,
        verbose=1,
        epochs=1,
        steps=STEPS,
    )
    model.fit(X, Y, batch_size=SIZE, validation_data=VALIDATION, callbacks=watching)
    shown = capsys.readouterr().out
    seventh = shown.split("7/19")[1].split("/19")[0]
    assert seventh.index(" loss") < seventh.index("val_loss")


class Dies(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at, self.seen = at, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.seen == self.at:
            raise RuntimeError("power cut")
        self.seen += 1


def test_a_resumed_run_validates_where_the_uninterrupted_one_would(tmp_path):
    def run(name, at=None):
        model = random_model()
        watching = [
            callbacks.Validation(every=5),
            callbacks.EarlyStopping("val_loss", unit="validation", patience=8, min_delta=0.2),
            callbacks.ReduceLROnPlateau("val_loss", unit="validation", patience=2, min_delta=0.2),
            callbacks.ModelCheckpoint(
                tmp_path / f"{name}.weights.h5",
                save_weights_only=True,
                save_best_only=True,
                save_freq="validation",
            ),
            callbacks.CSVLogger(tmp_path / f"{name}.csv", update_freq=2),
        ]
        backup = callbacks.BackupAndRestore(tmp_path / f"backup {name}", save_freq=4, exact=True)
        dies = [] if at is None else [Dies(at)]
        history = fit(model, [*watching, backup, *dies], epochs=4)
        validation, stopping, plateau, checkpoint, _ = watching
        counts = stopping.wait, stopping.best, stopping.stopped_batch, plateau.wait, checkpoint.best
        return history, validation.history, counts, state(model)

    whole = run("whole")
    with pytest.raises(RuntimeError, match="power cut"):
        run("cut", at=31)  # the backup is of batch 27, between validations after 24 and 29
    resumed = run("cut")
    assert resumed[:3] == whole[:3]
    for one, other in zip(resumed[3], whole[3], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "cut.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_the_data_pipeline_is_made_once(monkeypatch):
    from fitwatch._keras import evaluation

    made = []
    original = evaluation._epoch_iterator
    monkeypatch.setattr(
        evaluation, "_epoch_iterator", lambda *args: made.append(args) or original(*args)
    )
    fit(linear_model(), [callbacks.Validation(every=3)])
    assert len(made) == 1
