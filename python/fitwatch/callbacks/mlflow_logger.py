"""MLflowLogger."""

from typing import Any

from fitwatch import _check
from fitwatch._sinks.mlflow_run import MLflowRun, need_mlflow
from fitwatch.callbacks.block_logger import BlockLogger


class MLflowLogger(BlockLogger):
    """Logs every batch, validation and epoch to a run of MLflow.

    Points are stored in blocks of up to 1000, on a thread of its own: see `BlockLogger`. Names,
    steps, parameters and the artifact `model_summary.txt` are those of
    `mlflow.keras.MlflowCallback`:

    | of | name | step |
    |---|---|---|
    | a batch | `loss`, `accuracy`, ... | the number of batches that the optimizer has counted |
    | a validation | `validation_loss`, ... | the same, of the last batch before it |
    | an epoch | `val_loss`, ... and `epoch_loss`, `epoch_learning_rate`, ... | the epoch, from 0 |

    The run is `run_id`, else the active run; these are left open. Without them it is the run of the
    backup that the training is resumed from, else a new one: this is the active run during the
    training, and ends with it, as `FAILED` after an exception or Ctrl-C, else as `FINISHED`.

    Points are not stored twice: in a resumed training, and in a run that has points of the same
    steps (which a warning tells), points up to the last step of each metric are left out. The run
    is asked once, when training begins.

    Args:
        run_id: The run to log to. Default None: as above.
        log_params: Whether to store the optimizer's configuration as parameters `optimizer_...`,
            and the summary of the model. Parameters that the run has already stay as they are.
            Default True.
        every: The number of batches in a block (1 or more). Default 1000.
        columns: Names of metrics to log of batches; see `BlockLogger`. Default None.
        seconds: Age of a block in seconds at which it is stored before it is full. Default 10.

    Raises:
        ImportError: mlflow is not installed.
        ValueError: An argument has a value that is not allowed; or, when training begins, `run_id`
            is not a run, or a deleted one.
        TypeError: An argument has the wrong type.
        mlflow.MlflowException: The server cannot be reached when training begins. Later errors do
            not end the training.

    Differs from `mlflow.keras.MlflowCallback`:
        - Both batches and epochs are logged. As the name `loss` belongs to batches, the mean over
          the epoch is `epoch_loss`.
        - The points of batches have per-batch values, not Keras's running means, where the list
          has them: see `columns` of `BlockLogger`.
        - Validations have a step; it logs all of them at step 0.
        - With gradient accumulation every batch has a step of its own.
        - Characters that MLflow refuses in names are replaced by `_`, with a warning. It loses all
          metrics of the batch.
        - Of several processes that train together, only rank 0 logs.

    Example:
        >>> import mlflow  # doctest: +SKIP
        >>> from fitwatch.callbacks import MLflowLogger
        >>> with mlflow.start_run():  # doctest: +SKIP
        ...     model.fit(x, y, callbacks=[MLflowLogger()])
    """

    def __init__(
        self,
        run_id: str | None = None,
        log_params: bool = True,
        *,
        every: int = 1000,
        columns: Any = None,
        seconds: Any = 10.0,
    ) -> None:
        self.run_id = None if run_id is None else _check.text("run_id", run_id)
        self.log_params = _check.flag("log_params", log_params)
        super().__init__(
            MLflowRun(self.run_id, self.log_params), every=every, columns=columns, seconds=seconds
        )
        need_mlflow()
