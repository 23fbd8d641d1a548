"""Evaluates a model in the middle of its training, as `fit()` does after an epoch."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from fitwatch._keras import averaged_weights, model_state, stock
from fitwatch._keras.data import has_arrays, is_read_in_turn
from fitwatch._keras.frames import Fit, ValidationData
from fitwatch._keras.version import unsupported


class Evaluation:
    """Evaluates a model on the same data again and again.

    The iterator of the data is made once, and shared with `fit()` where the data are its own.

    Args:
        model: A compiled model.
        data: The data.
        fit: The `fit()` that is running; None in a custom loop.
        of_fit: Whether the data are its own validation data.
    """

    def __init__(self, model: Any, data: ValidationData, fit: Fit | None, *, of_fit: bool) -> None:
        self._model = model
        self._data = data
        self._of_fit = of_fit
        self._keeps_random = fit is not None and is_read_in_turn(fit.epoch_iterator)
        self._iterator: Any = None

    def follows(self, epoch: int) -> bool:
        """Whether `fit()` itself evaluates the model on these data when an epoch ends."""
        return self._of_fit and bool(self._model._should_eval(epoch, self._data.freq))

    def run(self, callback_list: Any) -> dict[str, Any]:
        """Evaluates the model; the training goes on afterwards as if nothing had happened.

        Args:
            callback_list: The list whose `on_test_*` hooks are called.

        Returns:
            The metrics by name, without a prefix.
        """
        model, data = self._model, self._data
        before = getattr(model, "_eval_epoch_iterator", None)
        iterator = before if self._of_fit and before is not None else self._iterator
        if iterator is None:
            iterator = self._iterator = _epoch_iterator(model, data)
        model._eval_epoch_iterator = iterator
        try:
            callbacks = callback_list.callbacks
            draws = keras.config.backend() == "torch" or not has_arrays(iterator)
            kept = undisturbed(model, callbacks, with_random=draws and self._keeps_random)
            with kept, model_state.lean_state(model):
                metrics: dict[str, Any] = model.evaluate(
                    x=data.x,
                    y=data.y,
                    sample_weight=data.sample_weight,
                    batch_size=data.batch_size,
                    steps=data.steps,
                    callbacks=callback_list,
                    return_dict=True,
                    _use_cached_eval_dataset=True,
                )
        finally:
            if not self._of_fit:
                model._eval_epoch_iterator = before
        return metrics


@contextmanager
def undisturbed(model: Any, callbacks: Any, *, with_random: bool) -> Iterator[None]:
    """A block in which an evaluation changes nothing that the training depends on.

    An evaluation resets the metrics, draws from the seeds of layers that sample at inference, and
    switches torch modules to evaluation. SwapEMAWeights rounds the weights on TensorFlow.

    Args:
        model: The model.
        callbacks: The callbacks of the list.
        with_random: Whether to keep the random states of the program, from which the data of the
            evaluation may draw (torch's loaders do). Not where threads read the data of the
            training ahead: they would draw the same numbers twice.
    """
    is_training = model_state.is_training(model)
    model_state.sync_state(model)
    variables = [*model.metrics_variables, *model_state.seeds(model), *_global_seeds()]
    values = [_copied(variable) for variable in variables]
    on_torch = keras.config.backend() == "torch"
    trains = on_torch and model.training
    swaps = _on_tensorflow() and stock.instances(list(callbacks), "SwapEMAWeights")
    averaged = averaged_weights.values(model) if swaps else ()
    states = _random_states() if with_random else None
    try:
        yield
    finally:
        model_state.sync_state(model)  # an exception may have left the state elsewhere
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if is_training:
            model_state.hand_over(model)
        if averaged:
            averaged_weights.assign(model, averaged)
        if states is not None:
            _set_random_states(states)
        if on_torch:
            model.train(trains)


def _copied(variable: Any) -> Any:
    """The value of a variable, which later steps do not change."""
    if keras.config.backend() == "jax":
        return keras.ops.copy(variable.value)  # half the time of a copy in host memory
    return np.array(keras.ops.convert_to_numpy(variable))


def _epoch_iterator(model: Any, data: ValidationData) -> Any:
    """An iterator as `fit()` makes it for its validation."""
    arguments: dict[str, Any] = {
        "x": data.x,
        "y": data.y,
        "sample_weight": data.sample_weight,
        "batch_size": data.batch_size,
        "steps_per_epoch": data.steps,
        "steps_per_execution": model.steps_per_execution,
        "shuffle": False,
    }
    if _on_tensorflow():
        arguments["distribute_strategy"] = model.distribute_strategy
    return _iterator_class(model)(**arguments)


def _iterator_class(model: Any) -> Any:
    names = {
        "jax": "JAXEpochIterator",
        "tensorflow": "TFEpochIterator",
        "torch": "TorchEpochIterator",
    }
    name = names[keras.config.backend()]
    modules = (sys.modules.get(cls.__module__) for cls in type(model).__mro__)
    found = (getattr(module, name, None) for module in modules)
    made = next((cls for cls in found if cls is not None), None)
    if made is None:
        raise unsupported(f"a trainer with {name}")
    return made


def _on_tensorflow() -> bool:
    """Whether TensorFlow is the backend."""
    return bool(keras.config.backend() == "tensorflow")


def _global_seeds() -> list[Any]:
    """The seed of layers that draw random numbers without a seed of their own."""
    generator = global_state.get_global_attribute("global_seed_generator")
    return [] if generator is None else [generator.state]


def _random_states() -> Any:
    """The random states of the program: of NumPy, of Python, and of torch on that backend."""
    states = np.random.get_state(), random.getstate()
    if keras.config.backend() != "torch":
        return states
    import torch

    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return *states, torch.get_rng_state(), torch.cuda.get_rng_state_all() if on_gpu else None


def _set_random_states(states: Any) -> None:
    np.random.set_state(states[0])
    random.setstate(states[1])
    if len(states) > 2:
        import torch

        torch.set_rng_state(states[2])
        if states[3] is not None:
            torch.cuda.set_rng_state_all(states[3])
