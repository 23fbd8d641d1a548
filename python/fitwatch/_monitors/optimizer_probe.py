"""Finds values where the train step gives gradients to the model's optimizers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import keras

from fitwatch._engine.batch_states import Found
from fitwatch._engine.probes import Find, Probe
from fitwatch._engine.step_run import StepRun
from fitwatch._keras import optimizer as optimizers


class Call:
    """A call in which an optimizer gets gradients: `stateless_apply` on JAX, `apply` elsewhere.

    Attributes:
        optimizer: The optimizer.
        gradients: What it gets: one for each variable, or None.
        variables: The variables to update.
        is_stateless: Whether the call returns the new values.
        values: Their values: on JAX, arrays that the call replaces; elsewhere the variables.
    """

    def __init__(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ["grads", "trainable_variables"]
        if keras.config.backend() == "jax":
            names = ["optimizer_variables", *names]
        given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
        self.optimizer = optimizer
        self.gradients = optimizers.held_apart(given.get("grads", ()))
        self._state = given.get("optimizer_variables")
        self.is_stateless = self._state is not None
        self.values: Any = given.get("trainable_variables")
        self.variables: Any = self.values
        if self.is_stateless or self.values is None:
            self.variables = optimizers.trained_by(optimizer)
        if not self.is_stateless:
            self.values = self.variables

    def reading(self) -> AbstractContextManager[Any]:
        """A block in which the optimizer's variables have the values of the train step."""
        if self._state is None:
            return nullcontext()
        state = zip(self.optimizer.variables, self._state, strict=True)
        scope: AbstractContextManager[Any] = keras.StatelessScope(list(state))
        return scope


class OptimizerProbe(Probe):
    """Finds columns in the calls of `model.optimizer`, and of the model's other optimizers.

    Columns of another optimizer end with the name of its attribute. If the step calls an optimizer
    several times, they are about the last call.
    """

    def measure(self, model: Any, call: Call) -> Iterator[dict[str, Any]]:
        """Yields the columns that are known before a call; then those that are known after it."""
        raise NotImplementedError

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Find]:
        found: dict[str, Found] = {}

        def find(logs: dict[str, Any]) -> Found:
            values: dict[str, Any] = {}
            reasons = [] if found else ["its train_step calls no optimizer that is its attribute"]
            for attribute, (columns, why) in found.items():
                if not all(map(run.owns, columns.values())):
                    columns, why = {}, ["an optimizer is called inside a loop of the train step"]
                values |= {_named(name, attribute): value for name, value in columns.items()}
                reasons += why
            return values, reasons

        calls = _Calls(lambda call: self.measure(model, call), found)
        method = "stateless_apply" if keras.config.backend() == "jax" else "apply"
        with ExitStack() as stack:
            for attribute, optimizer in _optimizers(model).items():
                handler = partial(calls.measure, attribute, optimizer)
                stack.enter_context(run.calls(optimizer, method, handler))
            yield find


class _Calls:
    """Measures the calls of optimizers in one run of the train step."""

    def __init__(
        self, measure: Callable[[Call], Iterator[dict[str, Any]]], found: dict[str, Found]
    ) -> None:
        self._measure = measure
        self._found = found
        self._is_inside = False

    def measure(
        self, attribute: str, optimizer: Any, original: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """The handler of an optimizer's method."""
        if self._is_inside:  # an optimizer calls those inside it
            return original(*args, **kwargs)
        self._is_inside = True
        found: Found = {}, []
        try:
            call = Call(optimizer, args, kwargs)
            steps = self._measure(call)
            _advance(steps, call, found)
            result = original(*args, **kwargs)
            if call.is_stateless:
                call.values = result[0]
            _advance(steps, call, found)
        finally:
            self._is_inside = False
        self._found[attribute] = found
        return result


def _advance(steps: Iterator[dict[str, Any]], call: Call, found: Found) -> None:
    """Adds the next columns, or the reason why there are none."""
    values, reasons = found
    try:
        with call.reading():
            values.update(next(steps, {}))
    except Exception as error:
        reasons.append(f"{type(error).__name__}: {error}")


def _optimizers(model: Any) -> dict[str, Any]:
    """The Keras optimizers that are attributes of a model; `model.optimizer` has an empty name."""
    named = {"": model.optimizer, **vars(model)}
    found: dict[str, Any] = {}
    for name, value in named.items():
        known = any(value is one for one in found.values())
        if isinstance(value, keras.optimizers.Optimizer) and not known:
            found[name] = value
    return found


def _named(column: str, attribute: str) -> str:
    return f"{column}/{attribute}" if attribute else column
