"""WandbLogger."""

from typing import Any

from fitwatch._sinks.wandb_run import WandbRun
from fitwatch.callbacks.block_logger import BlockLogger


class WandbLogger(BlockLogger):
    """Logs every batch, validation and epoch to a run of Weights & Biases, on a thread of its own.

    It needs the package `wandb`: `pip install fitwatch[wandb]`. Charts that are made for
    `wandb.integration.keras.WandbMetricsLogger` show its values: they have the same names.

    - A batch is a row of the run's history with `batch/loss`, `batch/<metric>` and so on, and
      `batch/batch_step`, the x axis of these charts.
    - An epoch is a row with `epoch/loss`, `epoch/val_loss`, `epoch/learning_rate` and so on, and
      `epoch/epoch`, their x axis.
    - A validation is a row with `batch/val_loss` and so on, at the `batch/batch_step` of the last
      trained batch. `Validation(every=)` adds validations inside an epoch.

    Rows get the next steps of the run, in the order of the batches and among the rows that other
    code logs meanwhile; their `_timestamp` is that of the batch. wandb leaves out, with a warning,
    a row that is logged with a `step` which the run has passed, and adds values that are logged
    with `commit=False` to the next row: beside this logger, call `wandb.log(values)` without both.
    When `fit()` returns, wandb has every row, so `run.finish()` may follow at once.

    With `BackupAndRestore`, a run that `wandb.init(id=..., resume="must")` resumes goes on where it
    has ended: rows that it has are left out. (wandb does not resume runs offline: there, rows since
    the backup come again.) Every other `fit()` counts on: its first `batch/batch_step` follows the
    last one of the run.

    Differs from WandbMetricsLogger: there are rows for batches as well as for epochs; `batch/loss`
    is the loss of the batch, not Keras's mean over the epoch so far; `batch/learning_rate` needs a
    `LearningRateMonitor` in the same list; rows of validations are added; the run is looked up when
    training begins; a `batch/<metric>` that is NaN is left out, except the loss. `_runtime` is the
    time at which wandb got the row.

    Args:
        run: The run, as `wandb.init()` returns it. None (default): `wandb.run`, when training
            begins.
        every: The number of batches that are handed over together (1 or more). Default 1000.
        columns: The values of batches: see `BlockLogger`. Default None: the per-batch loss, the
            other metrics as Keras logs them, and the columns of health monitors in the same list.
        seconds: The age at which a batch is handed over before there are `every`, in seconds (more
            than 0) or as a `datetime.timedelta`; None for any age. Default 10.

    Raises:
        ValueError: An argument has a value that is not allowed; or, when training begins, the
            callback is in its list twice.
        TypeError: An argument has the wrong type.
        ImportError: `run` is None, and wandb is not installed.
        RuntimeError: When training begins: there is no run, or it is finished, or another running
            `fit()` uses this callback.

    Example:
        >>> import keras, numpy as np
        >>> import wandb  # doctest: +SKIP
        >>> from fitwatch.callbacks import WandbLogger
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((6, 1))
        >>> with wandb.init(project="digits", mode="offline") as run:  # doctest: +SKIP
        ...     history = model.fit(x, x, batch_size=2, verbose=0, callbacks=[WandbLogger()])
        ...     print(run.summary["batch/batch_step"], run.summary["epoch/epoch"])
        2 0
    """

    action: WandbRun

    def __init__(
        self,
        run: Any = None,
        *,
        every: int = 1000,
        columns: Any = None,
        seconds: Any = 10.0,
    ) -> None:
        super().__init__(WandbRun(run), every=every, columns=columns, seconds=seconds)
