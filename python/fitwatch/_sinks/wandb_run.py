"""Stores blocks in a run of Weights & Biases."""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

from fitwatch._keras.wandb_history import BulkLog, Row
from fitwatch._sinks.block import Block
from fitwatch._sinks.tracker import Tracker

STEP, EPOCH = "batch/batch_step", "epoch/epoch"


class WandbRun(Tracker):
    """Logs each row of a block as a row of the run's history, in the run's own next step.

    A step that is given must not be below one that the run has seen, and the training thread may
    log meanwhile: only steps that the run counts itself lose nothing. `state` has the run, the
    `batch/batch_step` of the training's first batch, and the last epoch of the training before it.
    A training is a resumed one if the state is set, to the same run, when it begins.

    Args:
        run: A run, or None for `wandb.run` when training begins.

    Raises:
        ImportError: `run` is None, and wandb is not installed.
        TypeError: `run` is not a run.
    """

    def __init__(self, run: Any = None) -> None:
        super().__init__()
        if run is None:
            _wandb()
        elif not all(callable(getattr(run, name, None)) for name in ("log", "define_metric")):
            raise TypeError(f"run must be a run, as wandb.init() returns it, or None; got {run!r}.")
        self._given = run
        # Of the run that is logged to: its id, and the batch_step after the last one.
        self._run: Any = None
        self._id, self._next = "", 0
        # The state that this training has set.
        self._own: dict[str, Any] | None = None
        # What a resumed run had when training began: its last batch_step, and its summary.
        self._last = -1
        self._summary: dict[str, Any] = {}
        # The rows that are left of each block that has failed.
        self._left: dict[Block, deque[Row]] = {}
        self._bulk: BulkLog | None = None

    def __repr__(self) -> str:
        return f"WandbRun({self._given!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_run": None, "_left": {}, "_bulk": None, "_summary": {}}

    def begin(self, callback: Any) -> None:
        """Finds the run, and what it has.

        Raises:
            RuntimeError: There is no run, or it is finished.
        """
        self._run = run = _wandb().run if self._given is None else self._given
        if run is None:
            raise RuntimeError(
                "WandbLogger has no run: call wandb.init() before fit(), or pass the run, as "
                "WandbLogger(run)."
            )
        try:
            for step, names in ((STEP, "batch/*"), (EPOCH, "epoch/*")):
                run.define_metric(step)
                run.define_metric(names, step_metric=step)
        except Exception as error:
            raise RuntimeError(f"WandbLogger cannot log to the run {run.id}: {error}") from error
        self._left, self._bulk = {}, _bulk_log(run)
        last = _whole(run.summary.get(STEP))
        if self.state.get("run") == run.id and isinstance(self.state.get("first"), int):
            self.state = dict(self.state)
            self._last = -1 if last is None else last
            self._summary = {name: run.summary.get(name) for name in run.summary.keys()}  # noqa: SIM118
        else:
            first = self._next if self._id == run.id else 0
            first = max(first, 0 if last is None else last + 1)
            self.state = {"run": run.id, "first": first, "epoch": _whole(run.summary.get(EPOCH))}
            self._last, self._summary = -1, {}
        self._id, self._own = run.id, self.state

    def __call__(self, block: Block) -> None:
        """Logs the rows of a block that the run does not have."""
        if block not in self._left:
            self._left[block] = deque(self._rows(block))
        rows = self._left[block]
        while rows:
            # This call tells if the run is finished.
            self._run.log(rows[0])
            rows.popleft()
            self._log_many(rows)
        del self._left[block]
        self._next = max(self._next, self.state["first"] + int(block["step"][-1]) + 1)

    def end(self, *, failed: bool) -> None:
        """Another training counts on, unless a backup has set the state since."""
        if self.state is self._own:
            self.state = {}
        self._left, self._bulk = {}, None

    def _log_many(self, rows: deque[Row]) -> None:
        if self._bulk is None or not rows:
            return
        try:
            self._bulk(rows)
        except Exception:  # wandb's internals may raise anything; `Run.log` says what is wrong
            self._bulk = None

    def _rows(self, block: Block) -> Iterator[Row]:
        """The rows of a block, as WandbMetricsLogger names their values."""
        prefix = "epoch" if block.kind == "epoch" else "batch"
        names = [f"{prefix}/{name}" for name in block.columns]
        # One row has no columns without a value.
        keeps_nan = [name == "loss" or block.kind != "batch" for name in block.columns]
        axis = EPOCH if block.kind == "epoch" else STEP
        first = self.state["first"]
        columns = [block[name].tolist() for name in ("step", "epoch", "wall_time", *block.columns)]
        for step, epoch, wall_time, *values in zip(*columns, strict=True):
            row: Row = {
                name: value
                for name, value, keep in zip(names, values, keeps_nan, strict=True)
                if keep or not math.isnan(value)
            }
            row[axis] = epoch if block.kind == "epoch" else first + step
            if not self._has(block.kind, first + step, row):
                yield row | {"_timestamp": wall_time}

    def _has(self, kind: str, step: int, row: Row) -> bool:
        """Whether a resumed run has a row: rows come in the order of steps."""
        if kind == "batch" or step != self._last:
            return step <= self._last
        # After the last batch that the run has come a validation, and the epoch.
        if kind == "epoch":
            return bool(self._summary.get(EPOCH) == row[EPOCH] != self.state.get("epoch"))
        return all(self._summary.get(name) == row[name] for name in row)


def _bulk_log(run: Any) -> BulkLog | None:
    try:
        return BulkLog(run)
    except Exception:  # another version of wandb, or a run that is disabled
        return None


def _whole(value: Any) -> int | None:
    """A step that a summary has; None for anything else."""
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _wandb() -> Any:
    """The package.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import wandb
    except ImportError:
        wandb = None
    # Where a run was offline, a folder `wandb` may pass for the package.
    if not hasattr(wandb, "init"):
        raise ImportError("WandbLogger needs wandb: pip install 'fitwatch[wandb]'")
    return wandb
