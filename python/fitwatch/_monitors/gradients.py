"""The norms of gradients and the sizes of updates, for `GradientMonitor`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from fitwatch._engine.probes import Find, Probe
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_run import StepRun
from fitwatch._keras import optimizer as optimizers
from fitwatch._keras import train_step
from fitwatch._monitors.health import Health
from fitwatch._monitors.optimizer_probe import Call, OptimizerProbe

Columns = dict[str, Any]

# Stands for no value: see `Kind.SKIPS`.
NO_VALUE = -1.0


class GradientProbe(OptimizerProbe):
    """Finds the columns that the arguments of `GradientMonitor` ask for."""

    kind = Kind.GRADIENT

    def __init__(
        self, *, norm: bool, clipped: bool, per_layer: bool, update_ratio: bool, every: int
    ) -> None:
        self.norm = norm
        self.clipped = clipped
        self.per_layer = per_layer
        self.update_ratio = update_ratio
        self.every = every

    def flags(self, name: str) -> Kind:
        return Kind.SKIPS if "/" in name else Kind.SKIPS | Kind.IN_BAR

    @contextmanager
    def around(self, model: Any, run: StepRun) -> Iterator[Find]:
        if train_step.replicas() > 1:
            yield lambda logs: ({}, ["each device of a TensorFlow strategy has a part of them"])
        else:
            with super().around(model, run) as find:
                yield find

    def measure(self, model: Any, call: Call) -> Iterator[Columns]:
        layers = _layers(model, call) if self.per_layer else {}
        names = ["grad_norm"] * self.norm + ["grad_norm_clipped"] * self.clipped
        names += [f"grad_norm/{layer}" for layer in dict.fromkeys(layers.values())]
        is_due = self._is_due(call)
        before = _values_before(call, is_due) if self.update_ratio else []
        yield _where(is_due, names, lambda: self._norms(call, layers))
        if self.update_ratio:
            after = _weights(call)
            yield _where(is_due, ["update_ratio"], lambda: _update_ratio(before, after))

    def _is_due(self, call: Call) -> Any:
        """Whether the batch has values; None for always."""
        due = []
        if self.every > 1:
            due.append(ops.equal((optimizers.calls(call.optimizer) + 1) % self.every, 0))
        if optimizers.has_dynamic_scale(call.optimizer):
            due.append(call.optimizer.check_finite(call.gradients))
        return ops.all(ops.stack(due)) if due else None

    def _norms(self, call: Call, layers: dict[Any, str]) -> Columns:
        shares = optimizers.shares_of(call.optimizer, call.gradients, call.variables)
        squares: dict[Any, Any] = {
            optimizers.key_of(share.optimizer, variable): _square(gradient)
            for share in shares
            for gradient, variable in zip(share.gradients, share.variables, strict=True)
        }
        columns: Columns = {}
        if self.norm:
            columns["grad_norm"] = _root(squares.values())
        if self.clipped:
            clipped = [one for share in shares for one in optimizers.clipped(share)]
            columns["grad_norm_clipped"] = _root(map(_square, clipped))
        for layer in dict.fromkeys(layers.values()):
            of_layer = [square for key, square in squares.items() if layers[key] == layer]
            columns[f"grad_norm/{layer}"] = _root(of_layer)
        return columns


class Gradients(Health):
    """The attachment of a `GradientMonitor`."""

    kind = Kind.GRADIENT

    def probes(self, callback: Any) -> list[Probe]:
        return [
            GradientProbe(
                norm=callback.norm,
                clipped=callback.clipped,
                per_layer=callback.per_layer,
                update_ratio=callback.update_ratio,
                every=callback.every,
            )
        ]


def _layers(model: Any, call: Call) -> dict[Any, str]:
    """The name of the layer of each variable that gets a gradient, by the variable's key."""
    key_of = optimizers.key_of
    names = {
        key_of(call.optimizer, variable): layer.name
        for layer in reversed(model.layers)
        for variable in layer.trainable_variables
    }
    pairs = zip(call.gradients, call.variables, strict=True)
    keys = [key_of(call.optimizer, v) for gradient, v in pairs if optimizers.steps(gradient, v)]
    return {key: names.get(key, "other") for key in keys}


def _where(is_due: Any, names: list[str], compute: Callable[[], Columns]) -> Columns:
    """Columns that are computed if the batch has values."""
    if is_due is None:
        return compute()
    none = ops.convert_to_tensor(NO_VALUE, keras.config.floatx())
    columns: Columns = ops.cond(is_due, compute, lambda: dict.fromkeys(names, none))
    return columns


def _weights(call: Call) -> list[Any]:
    """The values of those of a call's variables that are weights."""
    pairs = zip(call.variables, call.values, strict=True)
    return [value for variable, value in pairs if optimizers.is_weight(variable)]


def _values_before(call: Call, is_due: Any) -> list[Any]:
    """The values of the weights, which stay as they are when the weights are updated."""
    weights = _weights(call)
    if call.is_stateless:
        return weights

    def copied() -> list[Any]:
        return [ops.copy(one) for one in weights]

    if is_due is None:
        return copied()
    values: list[Any] = ops.cond(is_due, copied, lambda: list(map(ops.convert_to_tensor, weights)))
    return values


def _update_ratio(before: list[Any], after: list[Any]) -> Columns:
    """The size of the update by that of the weights; no value where all weights are 0."""
    pairs = zip(map(_exact, before), map(_exact, after), strict=True)
    update = _root(_square(new - old) for old, new in pairs)
    size = _root(map(_square, before))
    is_known = size > 0
    ratio = update / ops.where(is_known, size, ops.ones_like(size))
    return {"update_ratio": ops.where(is_known, ratio, ops.full_like(size, NO_VALUE))}


def _exact(values: Any) -> Any:
    """Values in the precision in which they are summed."""
    precision = "float64" if keras.config.floatx() == "float64" else "float32"
    return ops.cast(values, precision)


def _square(gradient: Any) -> Any:
    return ops.sum(ops.square(_exact(optimizers.values_of(gradient))))


def _root(squares: Iterable[Any]) -> Any:
    """The norm of all, from the sums of squares of some."""
    return ops.cast(ops.sqrt(ops.sum(ops.stack(list(squares)))), keras.config.floatx())
