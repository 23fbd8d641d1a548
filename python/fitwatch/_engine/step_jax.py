"""How step columns leave the train step on JAX."""

from typing import Any

import keras

from fitwatch import _core
from fitwatch._engine.step_kinds import KEY
from fitwatch._engine.step_route import Function, Route, float_type
from fitwatch._keras import jax_arrays, train_step

# How many batches the shift register has: on an accelerator, a transfer takes longer.
ROWS_ON_CPU, ROWS_ON_ACCELERATOR = 16, 64


class JaxRoute(Route):
    """A compiled step carries a shift register: an array with the values of its last batches.

    An array that leaves the step for each batch, and lives until it is read, costs 10% of a short
    step. The register takes the place of the logs: it comes with the data, which Keras does not
    donate, and leaves with the values of one more batch. One of many registers is read.

    Columns and logs share the register. Where they are not scalars of one floating-point type, or
    the step is not compiled, they leave the step as they are.
    """

    # The step that Keras has compiled, of a state and of the register with the data.
    _compiled: Function | None = None
    _register: Any = None
    _tape: _core.Tape | None = None
    # The names in a row of the register: columns and logs; None before the first batch.
    _row_names: tuple[list[str], list[str]] | None = None
    # Where the register lies, on several devices.
    _sharding: Any = None

    def _build(self, model: Any, original: Function) -> Function:
        import jax

        if model.run_eagerly or not model.jit_compile:
            return train_step.build_train_function(model, original, self._step, self._around_plain)
        # Compiled, so that the trace that finds the width of the register is used again.
        self._inner = jax.jit(self._step, inline=True)
        return train_step.build_train_function(model, original, self._carry, self._around)

    def close(self) -> None:
        super().close()
        if self._tape is not None:
            self._tape.close()

    def shortest(self) -> Function | None:
        tape, columns, step = self._tape, self._columns, self._compiled
        if self._steps > 1 or tape is None or columns is None or step is None:
            return None
        push = tape.push

        def train(state: Any, iterator: Any) -> Any:
            out, state = step(state, (self._register, next(iterator)))
            if type(out) is dict:
                self._changed()
                columns.begin()
                return self._without_columns(out), state
            self._register = out
            return push(columns, out, True), state

        return train

    def _around_plain(self, step: Function) -> Function:
        def one_step(state: Any, data: Any) -> Any:
            logs, state = step(state, data)
            return self._without_columns(logs), state

        return one_step

    def _around(self, step: Function) -> Function:
        self._compiled = step

        def one_step(state: Any, data: Any) -> Any:
            if self._row_names is None:
                self._begin(state, data)
            out, state = step(state, (self._register, data))
            tape, columns = self._tape, self._columns
            if tape is None or columns is None or isinstance(out, dict):
                return self._without_columns(out), state
            self._register = out
            self._name(self._row_names[0] if self._row_names else [])
            return tape.push(columns, out), state

        return one_step

    def _carry(self, state: Any, carried: Any) -> Any:
        """The compiled step: the register, or else the logs, and the state."""
        import jax

        register, data = carried
        logs, state = self._inner(state, data)
        if (
            register is None
            or not isinstance(logs, dict)
            or self._names_of(logs) != self._row_names
        ):
            return logs, state
        columns, names = self._row_names
        row = [logs[KEY][name] for name in columns] + [logs[name] for name in names]
        if float_type([*row, register]) is None:
            return logs, state
        register = jax.numpy.concatenate([register[len(row) :], jax.numpy.stack(row)])
        if self._sharding is not None:
            lax: Any = jax.lax
            register = lax.with_sharding_constraint(register, self._sharding)
        return register, state

    def _begin(self, state: Any, data: Any) -> None:
        """Makes the first register, whose width the shapes of the step's logs tell."""
        import jax

        logs, _ = jax.eval_shape(self._inner, state, data)
        self._row_names = self._names_of(logs) if isinstance(logs, dict) else ([], [])
        columns, names = self._row_names
        values = [] if not isinstance(logs, dict) else [*logs.get(KEY, {}).values()]
        values += [logs[name] for name in names]
        dtype = float_type(values)
        if dtype is None or any(value.shape for value in values):
            return
        if not all(isinstance(name, str) for name in names):
            return
        on_cpu = jax.default_backend() == "cpu"
        rows = ROWS_ON_CPU if on_cpu else ROWS_ON_ACCELERATOR
        register = jax.numpy.zeros(rows * len(values), dtype)
        self._sharding = jax_arrays.replicated_sharding(keras.tree.flatten(state))
        if self._sharding is not None:
            # On the mesh of the state: else the second batch would compile the step again.
            register = jax.device_put(register, self._sharding)
        on_host = "address" if self._sharding is None else "replicated"
        access = f"{on_host if on_cpu else 'transfer'} {dtype}"
        self._register = register
        self._tape = _core.Tape(len(columns), names, rows, access)

    def _names_of(self, logs: dict[str, Any]) -> tuple[list[str], list[str]]:
        """The names of the columns and of the logs, as they are in a row."""
        return sorted(logs.get(KEY, ())), sorted(name for name in logs if name != KEY)

    def _without_columns(self, logs: Any) -> Any:
        """The logs of a batch, whose columns are taken out of them."""
        if isinstance(logs, dict) and KEY in logs:
            logs = dict(logs)
            self._take(logs.pop(KEY))
        return logs
