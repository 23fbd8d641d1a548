"""What an evaluation changes, as it was before."""

from typing import Any

import keras
import numpy as np

from fitwatch._checkpoint.data_order import random_state, set_random_state
from fitwatch._keras import model_state


class BeforeValidation:
    """The metrics, seeds and random states of a model before an evaluation.

    Args:
        model: The model, with its training state in its variables.
    """

    def __init__(self, model: Any) -> None:
        self._variables = [*model.metrics_variables, *model_state.seeds(model)]
        self._values = [np.array(keras.ops.convert_to_numpy(v)) for v in self._variables]
        self._random = random_state()

    def restore(self) -> None:
        """Brings them back."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
        set_random_state(self._random)
