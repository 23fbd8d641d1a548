"""Validation."""

from typing import Any

from fitwatch import _check
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._monitors.validating import Validating


class Validation(FitwatchCallback):
    """Evaluates the model inside an epoch, every so many batches.

    The training goes on as if nothing had been: the weights, the running metrics of the epoch, the
    seeds of random layers and the order of the data are bit for bit those of a run without it. The
    pipeline of the data and the compiled evaluation are made once. Two things are as with
    `evaluate()`: what layers write in evaluations (such as a counter of calls) stays; and
    validation data that draw from the random states of NumPy or Python take draws from training
    data that are no arrays, which threads may read ahead.

    Everything that runs with the validation of `fit()` runs with these too: the `on_test_*` hooks
    of all callbacks. Then each callback that has a method `on_validation_end(batch, logs)` is
    called, in the order of the list and after `on_train_batch_end` of all; after the validations
    of `fit()` itself too. `batch` counts from 0 across epochs; `logs` is a dict with the last logs
    of the training and the metrics of the validation (`val_loss`).

    fitwatch's callbacks use it: `EarlyStopping` and `ReduceLROnPlateau` with `unit="validation"`,
    `ModelCheckpoint(save_freq="validation")`, rows of `CSVLogger` where its `update_freq` is not
    `"epoch"`, tags `batch_*` of `TensorBoard` in `validation/`, the progress bar, and the plots of
    `LossHistory`.

    Args:
        every: Batches (1 or more) between two validations, counted across epochs. With
            `steps_per_execution=N`, the model is evaluated at the end of the call in which the
            number is reached. A validation that is due after the last batch of an epoch is left to
            `fit()`, if `fit()` runs one on the same data. Default 5000.
        validation_data: Data to evaluate on, as for `fit()`: `(x, y)`, `(x, y, sample_weight)`, a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or the like. None (default) for those of
            `fit()`, also those of `validation_split`.
        batch_size: Samples in a batch of `validation_data` that are arrays, 1 or more. None
            (default) for 32.
        steps: How many batches of `validation_data` a validation has, 1 or more. None (default)
            for all that the data have.
        name: Prefix of the names of metrics: `"val"` (default) makes `val_loss`. Another one is
            for `validation_data` beside those of `fit()`, or of another Validation.

    Attributes:
        history: The validations of the run, a dict of lists: `batch` (from 0, across epochs) and
            `epoch` (from 0) of each, and its metrics by name. With those that `fit()` itself runs,
            if they are on the same data.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, there
            are no data to evaluate on, `name` is that of another validation or begins with it, or
            the callback is in its list twice.
        TypeError: An argument has the wrong type.
        RuntimeError: Another running `fit()` uses this callback.

    Of several processes that train together all must have it. They evaluate after the same batch,
    and all callbacks get the same values: see `fitwatch.distributed`.

    Example:
        >>> import keras, numpy as np
        >>> from fitwatch import callbacks
        >>> x, y = np.zeros((64, 2)), np.zeros((64, 1))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> validation = callbacks.Validation(every=5)
        >>> fitted = model.fit(
        ...     x, y, batch_size=4, validation_data=(x, y), callbacks=[validation], verbose=0
        ... )
        >>> validation.history["batch"]
        [4, 9, 14, 15]
    """

    _fitwatch_type = Validating
    _fitwatch: Validating
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(
        self,
        every: int = 5000,
        *,
        validation_data: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        name: str = "val",
    ) -> None:
        super().__init__()
        self.every = _check.count("every", every, minimum=1)
        self.validation_data = validation_data
        self.batch_size, self.steps = (
            None if value is None else _check.count(argument, value, minimum=1)
            for argument, value in (("batch_size", batch_size), ("steps", steps))
        )
        self.name = _check.text("name", name)
        if validation_data is None and name != "val":
            raise ValueError(
                f"name must be 'val' without validation_data, as fit() names its own; got {name!r}."
            )
        given = [option for option in ("batch_size", "steps") if getattr(self, option) is not None]
        if validation_data is None and given:
            raise ValueError(
                f"{given[0]} must be None without validation_data, since fit() has "
                f"validation_{given[0]}; got {getattr(self, given[0])!r}."
            )
        self.history: dict[str, list[Any]] = {"batch": [], "epoch": []}

    def on_train_begin(self, logs: Any = None) -> None:
        """Finds the data, and starts a new record."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)

    @compiled(Validating.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Does nothing: the model is evaluated once all callbacks have seen the batch.

        It is here because Keras's list runs hooks on other threads unless a callback has this one.
        """

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Adds a validation to the record.

        Args:
            batch: The last trained batch, from 0 and across epochs.
            logs: The last logs of the training, with the metrics of the validation.
        """
        self._fitwatch.record(self, batch, logs)
