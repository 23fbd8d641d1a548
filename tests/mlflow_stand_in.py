"""A small stand-in for the package `mlflow`, which tests need not install."""

import itertools
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace


class MlflowException(Exception):  # noqa: N818 - as mlflow has it
    def __init__(self, message, error_code="INTERNAL_ERROR"):
        super().__init__(message)
        self.error_code = error_code


class Metric(SimpleNamespace):
    def __init__(self, key, value, timestamp, step):
        super().__init__(key=key, value=value, timestamp=timestamp, step=step)


class Param(SimpleNamespace):
    def __init__(self, key, value):
        super().__init__(key=key, value=value)


class Run:
    """What the store has of a run."""

    def __init__(self, run_id):
        self.info = SimpleNamespace(run_id=run_id, status="RUNNING", lifecycle_stage="active")
        self.data = SimpleNamespace(params={}, to_proto=self._latest)
        self.points, self.files = [], {}

    def _latest(self):
        latest = {}
        for point in self.points:
            if point.key not in latest or latest[point.key].step <= point.step:
                latest[point.key] = point
        return SimpleNamespace(metrics=list(latest.values()))

    def steps(self, name):
        return [point.step for point in self.points if point.key == name]

    def values(self, name):
        return [point.value for point in self.points if point.key == name]


class Store(ModuleType):
    """The module, which is its own client, with all runs.

    `calls` has the number of points of each call that stored some. Calls raise what is in `errors`
    for their number, and store nothing.
    """

    MlflowException = MlflowException

    def __init__(self):
        super().__init__("mlflow")
        self.__spec__ = ModuleSpec("mlflow", None)
        self.runs, self.active, self.calls, self.errors = {}, [], [], {}
        self._count = itertools.count()

    def MlflowClient(self):  # noqa: N802 - as mlflow has it
        return self

    def get_tracking_uri(self):
        return "nowhere"

    def active_run(self):
        return self.active[-1] if self.active else None

    def start_run(self, run_id=None):
        assert not self.active
        run = Run(f"run{len(self.runs)}") if run_id is None else self.get_run(run_id)
        run.info.status = "RUNNING"
        self.runs[run.info.run_id] = run
        self.active.append(run)
        return run

    def end_run(self, status="FINISHED"):
        self.active.pop().info.status = status

    def set_terminated(self, run_id, status):
        self.get_run(run_id).info.status = status

    def get_run(self, run_id):
        if run_id not in self.runs:
            raise MlflowException(f"no run {run_id}", "RESOURCE_DOES_NOT_EXIST")
        return self.runs[run_id]

    def log_batch(self, run_id, metrics=(), params=(), tags=(), synchronous=None):
        assert synchronous
        if error := self.errors.get(next(self._count)):
            raise error
        run = self.get_run(run_id)
        for param in params:
            if run.data.params.setdefault(param.key, param.value) != param.value:
                raise MlflowException("a parameter changes", "INVALID_PARAMETER_VALUE")
        if metrics:
            assert all(type(metric.step) is type(metric.timestamp) is int for metric in metrics)
            assert all(type(metric.value) is float for metric in metrics)
            self.calls.append(len(metrics))
            run.points += metrics

    def log_text(self, run_id, text, artifact_file):
        self.get_run(run_id).files[artifact_file] = text


def install():
    """Puts a stand-in with no runs in the place of the package, and returns it."""
    store = Store()
    sys.modules["mlflow"] = store
    sys.modules["mlflow.entities"] = entities = ModuleType("mlflow.entities")
    entities.Metric, entities.Param = Metric, Param
    return store
