"""How the per-batch loss leaves the train step, on each backend."""

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from fitwatch._core import Item
from fitwatch._engine.step_values import KEY, BatchLoss, Given
from fitwatch._keras import jax_arrays, train_step
from fitwatch._keras.frames import fit_of

# The loss and the values of the logs in one array.
PACKED = f"{KEY}, and its logs:"

Function = Callable[..., Any]


def watch(user: Any, model: Any, *, quiet: bool) -> "BatchLoss | None":
    """Begins to take losses in the model's `fit()` that is calling, until `release(user)`.

    Called again when an epoch begins, since other code may have changed the train function.

    Args:
        user: The object that wants them. Its `losses` are what the last call returned, or None.
        model: The model; None for no model.
        quiet: Whether the user works without them; then there is no warning if they cannot be
            taken.

    Returns:
        Their source, shared by all users of a model. None if no `fit()` is calling.
    """
    fit = None if model is None else fit_of(model)
    if fit is None:
        return None
    function = model.train_function
    losses: BatchLoss | None = getattr(function, "_fitwatch_batch_loss", None)
    before: BatchLoss | None = user.losses
    if losses is None and before is not None and before.stands_for(function):
        losses = before
    if losses is None:
        losses = _KINDS.get(keras.config.backend(), BatchLoss)(model)
        with suppress(AttributeError):  # a method takes no attributes
            # Kept as long as the function that it replaces: until the model is compiled again.
            function._fitwatch_batch_loss = losses
    losses.begin(user, model, fit, quiet=quiet)
    return losses


class JaxLoss(BatchLoss):
    """JAX trains several steps in a Python loop, which sees every loss.

    Each additional array that leaves the step costs 2 µs, and 2 µs more to read, which is
    significant for a short step. The loss and the logs therefore leave it as one array; the losses
    of several steps are stacked.
    """

    def __init__(self, model: Any) -> None:
        # The positions of the values in the packed array, by its key. A step recompiled for other
        # shapes may have other logs.
        self._places: dict[Any, list[tuple[Any, int]]] = {}
        super().__init__(model)

    def _build(self, model: Any) -> Function:
        import jax

        rows: list[dict[str, Any]] = []
        taken, single, all_places = self._taken, self.steps == 1, self._places

        def unpacked(logs: dict[str, Any]) -> dict[Any, Any]:
            ((key, row),) = logs.items()
            return {name: Item(row, at) for name, at in all_places[key]}

        def first_value(logs: dict[str, Any]) -> Any:
            return next(iter(logs.values()))

        def around(step: Function) -> Function:
            def one_step(state: Any, data: Any) -> Any:
                logs, state = step(state, data)
                if not isinstance(logs, dict):
                    return logs, state
                if KEY in logs:
                    taken.append(logs.pop(KEY))
                elif len(logs) == 1 and next(iter(logs)) in all_places:
                    if single:
                        taken.append(Item(first_value(logs), 0))
                        return unpacked(logs), state
                    rows.append(logs)
                return logs, state

            return one_step

        @jax.jit
        def losses(rows: list[Any]) -> Any:
            return jax.numpy.stack([row[0] for row in rows])

        make: Function = train_step.build_train_function(model, self._step, around)

        def train_function(state: Any, iterator: Any) -> Any:
            rows.clear()
            logs, state = make(state, iterator)
            if rows:
                logs = unpacked(rows[-1])
                taken.extend(np.asarray(losses([*map(first_value, rows)])).tolist())
            return logs, state

        return make if single else train_function

    def _hand_out(self, logs: dict[str, Any], loss: Any) -> dict[str, Any]:
        import jax

        names = sorted(logs)  # as they come out of a compiled step
        row = [loss, *(logs[name] for name in names)]
        fit = all(isinstance(v, jax.Array) and v.shape == () and v.dtype == loss.dtype for v in row)
        compiled = jax_arrays.trace_of(loss) is not None
        # On an accelerator, one transfer already reads the values of many batches.
        if not compiled or not fit or jax.default_backend() != "cpu":
            return super()._hand_out(logs, loss)
        key = f"{PACKED} {', '.join(map(repr, names))}"
        self._places[key] = [(name, 1 + at) for at, name in enumerate(names)]
        return {key: jax.numpy.stack(row)}

    def _is_usable(self, given: Given, args: Any) -> bool:
        if not super()._is_usable(given, args):
            return False
        # A value computed inside a gradient or a loop of the step cannot leave it.
        trace = jax_arrays.trace_of(given.loss)
        traces = map(jax_arrays.trace_of, keras.tree.flatten(args))
        return trace is None or any(trace is own for own in traces)


class TensorFlowLoss(BatchLoss):
    """TensorFlow loops over several steps inside its graph: the losses go into a queue."""

    def _build(self, model: Any) -> Function:
        import tensorflow as tf

        taken = self._taken
        # Without a limit, so that losses left by an exception never block a later step.
        queue = tf.queue.FIFOQueue(-1, [self._tracker.dtype], [()]) if self.steps > 1 else None

        def around(step: Function) -> Function:
            def one_step(data: Any) -> Any:
                logs = step(data)
                if not isinstance(logs, dict) or KEY not in logs:
                    return logs
                logs = dict(logs)
                loss = logs.pop(KEY)
                if len(loss.shape):  # of several devices
                    loss = loss[0] / loss[1]
                if tf.executing_eagerly():
                    taken.append(loss)
                elif queue is not None:
                    queue.enqueue(loss)
                else:
                    logs[KEY] = loss
                return logs

            return one_step

        make = train_step.build_train_function(model, self._step, around)

        def train_function(iterator: Any) -> Any:
            try:
                logs = make(iterator)
            finally:
                if queue is not None and (count := int(queue.size())):
                    taken.extend(queue.dequeue_many(count).numpy().tolist())
            if isinstance(logs, dict) and KEY in logs:
                taken.append(logs.pop(KEY))
            return logs

        return train_function

    def _is_usable(self, given: Given, args: Any) -> bool:
        import tensorflow as tf

        # A value computed inside a loop or a branch of the step cannot leave it.
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        own = getattr(given.loss, "graph", None) if graph is not None else None
        return super()._is_usable(given, args) and own is graph

    def _handed_out(self, given: Given) -> Any:
        import tensorflow as tf

        loss = super()._handed_out(given)
        if tf.distribute.get_replica_context().num_replicas_in_sync == 1:
            return loss
        # Keras averages both over the devices; a device without samples does not count.
        weight = keras.ops.cast(1 if given.weight is None else given.weight, loss.dtype)
        return tf.stack([tf.math.multiply_no_nan(loss, weight), weight])


class TorchLoss(BatchLoss):
    """Torch looks up the model's train step for every batch."""

    def _build(self, model: Any) -> Function:
        original, model = self._original, weakref.ref(model)

        def train_function(data: Any) -> Any:
            alive = model()
            self._train_step = alive.train_step
            with train_step.replaced(alive, train_step=self._step):
                logs = original(data)
            if isinstance(logs, dict) and KEY in logs:
                self._taken.append(logs.pop(KEY))
            return logs

        return train_function

    def _handed_out(self, given: Given) -> Any:
        return super()._handed_out(given).detach()


_KINDS: dict[str, type[BatchLoss]] = {
    "jax": JaxLoss,
    "tensorflow": TensorFlowLoss,
    "torch": TorchLoss,
}
