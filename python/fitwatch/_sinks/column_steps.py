"""Step columns that a callback asks for by name."""

from typing import Any

from fitwatch._engine.probes import Probe
from fitwatch._engine.step_kinds import Kind, is_health
from fitwatch._engine.step_user import StepUser


class ColumnSteps(StepUser):
    """Takes the step columns that are in the callback's `columns`: names, `"all"`, or None."""

    def probes(self, callback: Any) -> list[Probe]:
        probes = super().probes(callback)
        columns = callback.columns
        if columns is None or columns == "all":
            return probes
        needed = any(name != "loss" and not is_health(name) for name in columns)
        return [probe for probe in probes if needed or probe.kind is not Kind.METRIC]
