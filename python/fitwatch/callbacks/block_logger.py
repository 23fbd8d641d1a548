"""BlockLogger."""

from collections.abc import Callable
from typing import Any

from fitwatch import _check
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._distributed.callback import FitwatchCallback
from fitwatch._engine.plan import compiled
from fitwatch._sinks.block import Block
from fitwatch._sinks.blocks import Blocks


class BlockLogger(FitwatchCallback):
    """Hands the values of all batches to a function, in blocks of columns.

    The function gets a `Block`, a mapping of names to NumPy arrays: `step`, `epoch`, `wall_time`,
    and a column for each metric. There is one for every `every` batches, one for each validation
    (`block.kind` is `"validation"`; the names begin with `val_`), and one for each epoch
    (`"epoch"`: Keras's logs of the epoch and the learning rate). They come in the order of their
    steps.

    The function is called on a thread of its own, so that the training does not wait for it.
    Everything is delivered before `fit()` returns, also when it ends by an exception, by Ctrl-C
    (in a list of Keras's without `fitwatch.enable()`: when the program ends), or because the
    process is preempted (see `BackupAndRestore`).

    An error in the function does not end the training: a warning shows the first one with its
    traceback, and the block is delivered again after 1, 2, 4, 8, 16, then every 30 seconds, until
    the function takes it. Later blocks wait, at most 64 MiB of them; then new rows are left out,
    with a warning. When the training ends, errors are waited out for 3 seconds, then each block is
    tried once more. If the function takes no block for 10 seconds then, because it hangs or waits
    for a store, it is left behind. A warning says which steps are lost.

    The function must not use the model that is trained: on JAX its variables are empty meanwhile.

    A backup by `BackupAndRestore` has the rows that are not delivered yet. A resumed run delivers
    these, and goes on with the steps of the run that it resumes: a block may come twice, so a
    function that stores values should replace those of the same step. Of several processes that
    train together, only rank 0 delivers.

    Args:
        action: A function of a block. What it returns is ignored.
        every: The number of batches in a block (1 or more); those of one call of the train function
            (`steps_per_execution`) stay together. Default 1000.
        columns: The columns of blocks of batches. None (default): the per-batch loss, and every
            other metric as the list of callbacks has it: the values of batches if another callback
            asks for these (see `LossHistory`), else Keras's means over the epoch so far. `"all"`:
            the values that each metric has for the batch alone. Or a list of names, each with its
            values for the batch. Columns of health monitors in the same list count as metrics. A
            metric named `step`, `epoch` or `wall_time` is left out.
        seconds: The age of its first row at which a block is delivered before it is full, in
            seconds (more than 0) or as a `datetime.timedelta`; None for any age. Default 10.
        background: Whether the function is called on another thread. False calls it in the
            training's thread, which waits for it, and does so again after an error when the next
            block comes; what is not an `Exception`, such as SystemExit, ends the training. Default
            True.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice.
        TypeError: An argument has the wrong type.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> import keras, numpy as np
        >>> from fitwatch.callbacks import BlockLogger
        >>> def action(block):
        ...     print(block.kind, block["step"], block.columns)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((6, 1))
        >>> logger = BlockLogger(action, every=2, background=False)
        >>> history = model.fit(x, x, batch_size=2, verbose=0, callbacks=[logger])
        batch [0 1] ['loss']
        batch [2] ['loss']
        epoch [2] ['learning_rate', 'loss']
    """

    _fitwatch_type = Blocks
    _fitwatch: Blocks
    state_dict = state_dict
    load_state_dict = load_state_dict

    def __init__(
        self,
        action: Callable[[Block], Any],
        *,
        every: int = 1000,
        columns: Any = None,
        seconds: Any = 10.0,
        background: bool = True,
    ) -> None:
        super().__init__()
        if not callable(action):
            raise TypeError(f"action must be a function of a block; got {action!r}.")
        self.action = action
        self.every = _check.count("every", every, minimum=1)
        self.columns = columns if columns in (None, "all") else _check.names("columns", columns)
        self.seconds = _check.seconds("seconds", seconds)
        self.background = _check.flag("background", background)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to collect and to deliver."""
        self._fitwatch.begin(self)
        super().on_train_begin(logs)

    @compiled(Blocks.form)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Adds the rows of the trained batches."""
        super().on_train_batch_end(batch, logs)
        self._fitwatch.see(self, batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Delivers the rows so far: a validation may take long."""
        super().on_test_begin(logs)
        self._fitwatch.flush()

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Delivers the metrics of a validation."""
        self._fitwatch.see_validation(batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Delivers the logs of the epoch."""
        self._fitwatch.end_epoch(self, epoch, logs or {})
