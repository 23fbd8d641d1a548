"""How step columns leave the train step on TensorFlow."""

from typing import Any

from fitwatch import _core
from fitwatch._engine.step_kinds import KEY
from fitwatch._engine.step_route import Function, Route, float_type
from fitwatch._keras import train_step


class TensorFlowRoute(Route):
    """The values of a batch leave a compiled step in one array: its columns, then its logs.

    Each output of a compiled step costs time. Where the values do not fit into one array, where
    several devices average them, and on an accelerator, whose scalars are transferred many at once,
    the columns leave the step beside the logs. TensorFlow loops over several steps inside its
    graph: their columns go into a queue.
    """

    def __init__(self, *args: Any) -> None:
        # The arrays by the names that they have in the place of logs, one for each trace, with the
        # names of their columns.
        self._arrays: dict[str, tuple[list[str], _core.Tape]] = {}
        super().__init__(*args)

    def _build(self, model: Any, original: Function) -> Function:
        if self._steps > 1:
            return self._build_several(model, original)

        def around(step: Function) -> Function:
            def one_step(data: Any) -> Any:
                logs = step(data)
                if isinstance(logs, dict) and KEY in logs:
                    logs = {**logs, KEY: _averaged(logs[KEY])}
                return logs

            return one_step

        make = train_step.build_train_function(model, original, self._step, around)

        def train_one(iterator: Any) -> Any:
            logs = make(iterator)
            if isinstance(logs, dict):
                key = next(iter(logs), None)
                if key in self._arrays:
                    names, tape = self._arrays[key]
                    columns = self._name(names)
                    return logs if columns is None else tape.push(columns, logs[key])
                if KEY in logs:
                    self._take(logs.pop(KEY))
            return logs

        return train_one

    def _build_several(self, model: Any, original: Function) -> Function:
        import tensorflow as tf

        # Without a limit, so that values left by an exception never block a later step.
        queue = tf.queue.PaddingFIFOQueue(-1, ["float64"], [(None,)])
        # The names in a row of the queue.
        names: list[str] = []

        def around(step: Function) -> Function:
            def one_step(data: Any) -> Any:
                logs = step(data)
                if not isinstance(logs, dict) or KEY not in logs:
                    return logs
                logs = dict(logs)
                found = _averaged(logs.pop(KEY))
                if tf.executing_eagerly():
                    self._take(found)
                    return logs
                names[:] = found
                row = [tf.cast(value, tf.float64) for value in found.values()]
                queue.enqueue(tf.stack(row or [tf.constant(0.0, tf.float64)]))
                return logs

            return one_step

        make = train_step.build_train_function(model, original, self._step, around)

        def train_several(iterator: Any) -> Any:
            try:
                return make(iterator)
            finally:
                if count := int(queue.size()):
                    for row in queue.dequeue_many(count).numpy().tolist():
                        self._take(dict(zip(names, row, strict=False)))

        return train_several

    def _step(self, *args: Any) -> Any:
        logs = super()._step(*args)
        if self._steps > 1 or not isinstance(logs, dict) or KEY not in logs:
            return logs
        columns = sorted(logs[KEY])
        names = [name for name in logs if name != KEY]
        values = [logs[KEY][name] for name in columns] + [logs[name] for name in names]
        dtype = float_type(values)
        if dtype is None or not _fit(values):
            return logs
        import tensorflow as tf

        key = f"{KEY}/{len(self._arrays)}"
        self._arrays[key] = columns, _core.Tape(len(columns), names, 1, f"ready {dtype}")
        return {key: tf.stack(values)}


def _averaged(found: dict[str, Any]) -> dict[str, Any]:
    return {name: train_step.averaged(found[name]) for name in sorted(found)}


def _fit(values: list[Any]) -> bool:
    """Whether values of one type can leave the step that is traced now in one array."""
    import tensorflow as tf

    return (
        not tf.executing_eagerly()
        and train_step.replicas() == 1
        and {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
        and all(isinstance(value, tf.Tensor) and value.shape.rank == 0 for value in values)
    )
