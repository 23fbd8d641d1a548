"""Stores blocks in a run of MLflow."""

import importlib.util
from typing import Any

import numpy as np
from keras import ops

from fitwatch._keras import optimizer
from fitwatch._sinks.block import Block
from fitwatch._sinks.mlflow_names import name_in_mlflow
from fitwatch._sinks.tracker import Tracker
from fitwatch._warn import warn

# The points that one call of `log_batch` may have; with the longest names they are below its other
# limit, 1 MB.
LIMIT = 1000


def need_mlflow() -> None:
    """Raises an ImportError if mlflow is not installed; it is imported when training begins."""
    if importlib.util.find_spec("mlflow") is None:
        raise ImportError("MLflowLogger needs mlflow: pip install 'fitwatch[mlflow]'")


class MLflowRun(Tracker):
    """Stores blocks with `MlflowClient.log_batch`, as `mlflow.keras.MlflowCallback` names them.

    The calls are synchronous: they are made one after the other, and one that fails raises. `state`
    has the run, and how many batches the optimizer had counted before the training.

    Args:
        run_id: A run; None for the active one, else the one of the backup, else a new one.
        log_params: Whether to store the optimizer's parameters and the summary of the model.
    """

    def __init__(self, run_id: str | None, log_params: bool) -> None:
        super().__init__()
        self._run_id = run_id
        self._log_params = log_params
        # The client of MLflow, during a training.
        self._store: Any = None
        # Whether the run ends with the training.
        self._is_own = False
        # The last step of each metric that the run had when training began.
        self._last: dict[str, int] = {}
        # What the first block of batches tells: where the training begins, and whether the run has
        # points of these steps.
        self._is_first_unknown = self._is_overlap_unknown = False
        # The points that are left of each block that has failed.
        self._left: dict[Block, list[Any]] = {}
        self._has_reported = False

    def __repr__(self) -> str:
        return f"MLflowRun({self._run_id!r}, {self._log_params})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_store": None, "_left": {}}

    def begin(self, callback: Any) -> None:
        """Finds or starts the run.

        Raises:
            ValueError: `run_id` is not a run, or one that was deleted.
        """
        import mlflow

        self._store = mlflow.MlflowClient()
        known, run = self.state, self._find_run()
        is_resumed = known.get("run_id") == run.info.run_id
        # The only public way to the steps without reading all points.
        self._last = {metric.key: metric.step for metric in run.data.to_proto().metrics}
        self._is_first_unknown = "first" not in known
        self._is_overlap_unknown = bool(self._last) and not is_resumed
        self._left, self._has_reported = {}, False
        first = known.get("first", _trained_batches(callback.model))
        self.state = {"run_id": run.info.run_id, "first": first}
        if self._log_params and not is_resumed:
            try:
                self._describe(callback.model, run)
            except Exception as error:
                warn(f"MLflowLogger: parameters or summary could not be stored: {error!r}")

    def _find_run(self) -> Any:
        import mlflow

        self._is_own = False
        if self._run_id is not None:
            return self._given_run(self._run_id)
        active = mlflow.active_run()
        if active is not None:
            return self._store.get_run(active.info.run_id)
        self._is_own = True
        if "run_id" in self.state:
            try:
                return mlflow.start_run(self.state["run_id"])
            except mlflow.MlflowException as error:
                warn(f"MLflowLogger: the run of the backup cannot go on, a new one begins: {error}")
        return mlflow.start_run()

    def _given_run(self, run_id: str) -> Any:
        import mlflow

        try:
            run = self._store.get_run(run_id)
        except mlflow.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            where = mlflow.get_tracking_uri()
            raise ValueError(f"run_id must be a run in {where}; got {run_id!r}: {error}") from error
        if run.info.lifecycle_stage != "active":
            raise ValueError(f"run_id must be a run that is not deleted; got {run_id!r}.")
        return run

    def _describe(self, model: Any, run: Any) -> None:
        """Stores the summary, and the parameters that are not there: MLflow changes none."""
        from mlflow.entities import Param

        params = [
            Param(f"optimizer_{name}", str(value))
            for name, value in model.optimizer.get_config().items()
            if f"optimizer_{name}" not in run.data.params
        ]
        self._store.log_batch(run.info.run_id, params=params, synchronous=True)
        lines: list[str] = []
        model.summary(print_fn=lambda line, *_, **__: lines.append(line))
        self._store.log_text(run.info.run_id, "\n".join(lines), "model_summary.txt")

    def __call__(self, block: Block) -> None:
        """Stores the points of a block that the run does not have."""
        store, run_id = self._store, self.state["run_id"]
        if block not in self._left:
            self._left[block] = self._points(block)
        points = self._left[block]
        while points:
            store.log_batch(run_id, metrics=points[:LIMIT], synchronous=True)
            del points[:LIMIT]
        del self._left[block]

    def end(self, *, failed: bool) -> None:
        """Ends the run, unless it was given or active."""
        import mlflow

        store, run_id = self._store, self.state["run_id"]
        self._store, self.state, self._left = None, {}, {}
        if not self._is_own:
            return
        status = "FAILED" if failed else "FINISHED"
        active = mlflow.active_run()
        if active is not None and active.info.run_id == run_id:
            mlflow.end_run(status)
        else:  # ended or covered by the user, or this is another thread
            store.set_terminated(run_id, status)

    def _points(self, block: Block) -> list[Any]:
        from mlflow.entities import Metric

        names = {column: name_in_mlflow(column, block.kind) for column in block.columns}
        self._report_refused(names, block.kind)
        is_batch = block.kind == "batch"
        if is_batch:
            self._compare(int(block["step"][0]), names)
        # Of a batch, MlflowCallback has the optimizer's count after it.
        steps = block["epoch"] if block.kind == "epoch" else self.state["first"] + block["step"] + 1
        times = (block["wall_time"] * 1000).astype(np.int64)
        points: list[Any] = []
        for column, name in names.items():
            is_new = steps > self._last.get(name, -1)
            if is_batch and column != "loss":  # every batch has a loss, so that its NaN is one
                is_new &= ~np.isnan(block[column])
            values = (one[is_new].tolist() for one in (block[column], times, steps))
            points += [Metric(name, *point) for point in zip(*values, strict=True)]
        return points

    def _compare(self, step: int, names: dict[str, str]) -> None:
        """Compares the first step of a training with what the run has."""
        if self._is_first_unknown:  # a resumed run, of which this logger has no state, is not at 0
            self._is_first_unknown = False
            self.state["first"] -= step
        if self._is_overlap_unknown:
            self._is_overlap_unknown = False
            last = max((self._last.get(name, -1) for name in names.values()), default=-1)
            if self.state["first"] + step + 1 > last:
                self._last = {}
                return
            warn(
                f"MLflowLogger: the run {self.state['run_id']} has points up to step {last} "
                "already. Points up to there are left out; use one run for each training."
            )

    def _report_refused(self, names: dict[str, str], kind: str) -> None:
        changed = {
            column: name
            for column, name in names.items()
            if column.removeprefix("val_") not in name and not self._has_reported
        }
        if changed:
            self._has_reported = True
            pairs = ", ".join(f"{column!r} as {name!r}" for column, name in changed.items())
            warn(f"MLflowLogger: MLflow refuses the names of some metrics. It has {pairs}.")


def _trained_batches(model: Any) -> int:
    """How many batches a model was trained on, as its optimizer counts."""
    if model.optimizer is None:
        return 0
    return int(ops.convert_to_numpy(optimizer.calls(model.optimizer)))
