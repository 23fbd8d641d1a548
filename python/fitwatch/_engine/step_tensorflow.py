"""How step columns leave the train step on TensorFlow."""

from typing import Any

from fitwatch import _core
from fitwatch._engine.step_kinds import KEY
from fitwatch._engine.step_route import Function, Route
from fitwatch._keras import train_step


class TensorFlowRoute(Route):
    """TensorFlow loops over several steps inside its graph: their columns go into a queue.

    Each output of a step costs time, so that several columns leave it in one array.
    """

    def _build(self, model: Any, original: Function) -> Function:
        import tensorflow as tf

        several = self._steps > 1
        # Without a limit, so that values left by an exception never block a later step.
        queue = tf.queue.PaddingFIFOQueue(-1, ["float64"], [(None,)]) if several else None
        # The names in the array that leaves a compiled step; None before it is traced.
        names: list[str] | None = None

        def around(step: Function) -> Function:
            def one_step(data: Any) -> Any:
                nonlocal names
                logs = step(data)
                if not isinstance(logs, dict) or KEY not in logs:
                    return logs
                logs = dict(logs)
                found = logs.pop(KEY)
                found = {name: train_step.averaged(found[name]) for name in sorted(found)}
                if tf.executing_eagerly():
                    self._take(found)
                    return logs
                names, values = list(found), list(found.values())
                if queue is not None:
                    row = [tf.cast(value, tf.float64) for value in values]
                    queue.enqueue(tf.stack(row or [tf.constant(0.0, tf.float64)]))
                elif values:
                    logs[KEY] = values[0] if len(values) == 1 else tf.stack(values)
                return logs

            return one_step

        make = train_step.build_train_function(model, original, self._step, around)
        if queue is not None:

            def train_several(iterator: Any) -> Any:
                try:
                    return make(iterator)
                finally:
                    if count := int(queue.size()):
                        for row in queue.dequeue_many(count).numpy().tolist():
                            self._take(dict(zip(names or (), row, strict=False)))

            return train_several

        def train_one(iterator: Any) -> Any:
            logs = make(iterator)
            if names is not None:
                values = logs.pop(KEY, None)
                if len(names) > 1:
                    self._take_array(names, values)
                else:
                    self._take(dict.fromkeys(names, values))
            return logs

        return train_one

    def _take_array(self, names: list[str], array: Any) -> None:
        """Adds the values of a batch that have left the step in one array."""
        columns = self._name(names)
        if columns is not None:
            _core.Tape(len(names), [], 1, "ready").push(columns, array)
