"""How step columns leave the train step: what the backends have in common."""

import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import keras

from fitwatch import _core
from fitwatch._engine.interceptions import Interceptions
from fitwatch._engine.probes import Probe
from fitwatch._engine.step_kinds import KEY, Kind
from fitwatch._engine.step_run import StepRun

Function = Callable[..., Any]


class Route:
    """A train function that also fills step columns.

    Args:
        model: A model whose train function Keras has made.
        original: That function; it is called where no other can be made.
        probes: What finds the columns.
        changed: Called when a call of the shortest way finds that the step has changed.

    Attributes:
        measured: The names and kinds of the columns that meters measure around each call.
        reasons: Why columns of a kind cannot be taken, by kind.
        has_news: Whether there are reasons that were not reported.
    """

    def __init__(
        self,
        model: Any,
        original: Function,
        probes: Iterable[Probe],
        changed: Callable[[], None],
    ) -> None:
        self._changed = changed
        self.probes = frozenset(probes)
        self._ordered = sorted(self.probes, key=lambda probe: probe.kind)
        self.measured: list[tuple[str, Kind]] = []
        self.reasons: dict[Kind, list[str]] = {}
        self.has_news = False
        self._model = weakref.ref(model)
        self._train_step = model.train_step
        self._steps = int(model.steps_per_execution)
        self._interceptions = Interceptions()
        self._kinds: dict[str, int] = {}
        # The columns that are filled now, and the names that they were given.
        self._columns: _core.StepColumns | None = None
        self._names: list[str] | None = None
        # The names in the logs of the step.
        self._logged: frozenset[str] = frozenset()
        try:
            self._make = self._build(model, original)
        except Exception as error:
            self._make = original
            self._note_all(f"{type(error).__name__}: {error}")

    def train(self, columns: _core.StepColumns, *args: Any) -> Any:
        """Calls the train function, which fills the columns."""
        if columns is not self._columns:
            self._columns, self._names = columns, None
        columns.begin()
        result = self._make(*args)
        if not columns.batches:
            self._note_all("its train function does not call its train_step")
        return result

    def shortest(self) -> Function | None:
        """What does the same as `train` for the same columns, with less work; None if nothing does.

        It applies after a call of `train`, until `close`.
        """
        return None

    def close(self) -> None:
        """Called when the next batches may belong to another `fit()`."""
        self._columns = None

    def _build(self, model: Any, original: Function) -> Function:
        """The train function, which calls `_step` for each batch and `_take` after it."""
        raise NotImplementedError(f"the backend {keras.config.backend()!r} is not known")

    def _step(self, *args: Any) -> Any:
        """The model's train step, whose logs also have the columns."""
        run, model = StepRun(self._interceptions, args), self._model()
        with ExitStack() as stack:
            found = [stack.enter_context(probe.around(model, run)) for probe in self._ordered]
            result = self._train_step(*args)
            # JAX's steps give logs and state.
            logs = result[0] if isinstance(result, tuple) else result
            if not isinstance(logs, dict):
                self._note_all("its train_step returns no dict of logs")
                return result
            if not all(isinstance(name, str) for name in logs):
                # TensorFlow and JAX sort the names, with that of the columns.
                self._note_all("its train_step returns logs whose names are no strings")
                return result
            if self._logged != logs.keys():
                self._logged, self._names = frozenset(logs), None
            columns = self._collect(found, logs)
        logs = {**logs, KEY: columns}
        return (logs, *result[1:]) if isinstance(result, tuple) else logs

    def _collect(self, found: list[Any], logs: dict[str, Any]) -> dict[str, Any]:
        """The columns that the probes have found, by name."""
        columns: dict[str, Any] = {}
        for probe, find in zip(self._ordered, found, strict=True):
            try:
                values, why = find(logs)
            except Exception as error:
                values, why = {}, [f"{type(error).__name__}: {error}"]
            for name, value in values.items():
                if name in logs and probe.kind in Kind.HEALTH:
                    why = [*why, _taken(name)]
                elif name in logs or probe.kind is not Kind.METRIC:
                    columns[name] = self._leaving(value)
                    self._kinds[name] = int(probe.kind | probe.flags(name))
            self._note(probe.kind, why)
        return columns

    def _leaving(self, value: Any) -> Any:
        """A value as it leaves the step."""
        return value

    def _note(self, kind: Kind, why: list[str]) -> None:
        """Notes why columns of a kind cannot be taken."""
        if why and self.reasons.get(kind) != why:
            self.reasons[kind] = why
            self.has_news = True
        elif not why:
            self.reasons.pop(kind, None)

    def _note_all(self, why: str) -> None:
        kinds = {probe.kind for probe in self._ordered}
        for kind in kinds | {kind & Kind.HEALTH for _, kind in self.measured}:
            if kind and kind not in self.reasons:
                self._note(kind, [why])

    def _name(self, names: list[str]) -> _core.StepColumns | None:
        """Gives the columns their names, if they have changed."""
        columns = self._columns
        if columns is not None and names != self._names:
            kinds = [self._kinds[name] for name in names]
            taken = {*names, *self._logged}
            for name, kind in self.measured:
                # A column of no kind is taken by no sink.
                kinds.append(0 if name in taken else int(kind))
                taken.add(name)
            columns.name([*names, *(name for name, _ in self.measured)], kinds, len(self.measured))
            self._names = names
            for kind in {kind & Kind.HEALTH for _, kind in self.measured} - {Kind(0)}:
                ours = [name for name, other in self.measured if other & kind]
                self._note(kind, [_taken(name) for name in ours if name in self._logged])
        return columns

    def _take(self, found: dict[str, Any]) -> None:
        """Adds the values of a batch to the columns."""
        columns = self._name(list(found))
        if columns is not None:
            columns.push(list(found.values()))


def _taken(name: str) -> str:
    return f"a metric has the name {name!r}"


def float_type(values: list[Any]) -> str | None:
    """The type that arrays share, "float32" or "float64"; None if they cannot be in one array."""
    names = {getattr(getattr(value, "dtype", None), "name", None) for value in values}
    return names.pop() if len(names) == 1 and names <= {"float32", "float64"} else None
