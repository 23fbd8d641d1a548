"""How step columns leave the train step on torch."""

from typing import Any

from fitwatch._engine.step_kinds import KEY
from fitwatch._engine.step_route import Function, Route
from fitwatch._keras import train_step


class TorchRoute(Route):
    """Torch looks up the model's train step for every batch."""

    def _build(self, model: Any, original: Function) -> Function:
        train_step.require_own_function(original)

        def train_function(data: Any) -> Any:
            alive: Any = self._model()
            self._train_step = alive.train_step
            with train_step.replaced(alive, train_step=self._step):
                logs = original(data)
            if isinstance(logs, dict) and KEY in logs:
                self._take(logs.pop(KEY))
            return logs

        return train_function

    def _leaving(self, value: Any) -> Any:
        return value.detach()
