"""Replaces a model's train step, and finds the loss tracker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fitwatch._keras import jax_arrays
from fitwatch._keras.stock import KERAS, is_function_in
from fitwatch._keras.version import unsupported


def loss_tracker(model: Any) -> Any:
    """The metric that a train step updates with the loss of its batch; or None."""
    return getattr(model, "_loss_tracker", None)


def is_of_keras(model: Any) -> bool:
    """Whether a model's train step is Keras's own."""
    return is_function_in(getattr(type(model), "train_step", None), (KERAS,))


def require_own_function(function: Any) -> None:
    """Checks that a train function is one of Keras's.

    Raises:
        ValueError: It is not.
    """
    if not is_function_in(function, (KERAS,)):
        raise ValueError("its train function was not made by Keras")


def build_train_function(
    model: Any, original: Any, train_step: Any, around: Any
) -> Callable[..., Any]:
    """A train function as `fit()` makes it, but with another step; the model is unchanged.

    `around` wraps the function of one step, which is already compiled where steps are compiled one
    by one: on JAX a function of state and data, on TensorFlow of data. `original` is the model's
    own train function, which must be Keras's.
    """
    require_own_function(original)
    name = "_make_function" if keras.config.backend() == "jax" else "_autoconvert_optionals"
    make = getattr(model, name, None)
    if make is None:
        raise unsupported(f"a trainer with {name}")
    # TensorFlow's `make` returns the function of a step; JAX's takes it.
    changed = (lambda f: make(around(f))) if name == "_make_function" else lambda f: around(make(f))
    before = model.train_function
    try:
        with replaced(model, train_step=train_step, **{name: changed}):
            model.make_train_function(force=True)
        made: Callable[..., Any] = model.train_function
        return made
    finally:
        model.train_function = before


@contextmanager
def replaced(instance: Any, **attributes: Any) -> Iterator[None]:
    """A block in which an instance has other attributes; bypasses its class's `__setattr__`."""
    own = vars(instance)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            own.pop(name, None)
        own.update(before)


def is_of_step(value: Any, args: tuple[Any, ...]) -> bool:
    """Whether a tensor belongs to the step with these arguments, not to a computation inside it."""
    if keras.config.backend() == "jax":
        trace = jax_arrays.trace_of(value)
        traces = map(jax_arrays.trace_of, keras.tree.flatten(args))
        return trace is None or any(trace is own for own in traces)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        return (getattr(value, "graph", None) if graph is not None else None) is graph
    return True


def replicas() -> int:
    """How many devices of a TensorFlow strategy run the step; 1 elsewhere."""
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def of_all_replicas(loss: Any, weight: Any) -> Any:
    """The loss of one device as it leaves the step: with its weight, where there are several.

    Keras averages both over the devices; `averaged` divides them. A device without samples does not
    count.
    """
    if replicas() == 1:
        return loss
    import tensorflow as tf

    weight = keras.ops.cast(1 if weight is None else weight, loss.dtype)
    return tf.stack([tf.math.multiply_no_nan(loss, weight), weight])


def averaged(loss: Any) -> Any:
    """The loss of all devices, after Keras has averaged what `of_all_replicas` has returned."""
    return loss[0] / loss[1] if len(loss.shape) else loss


def unknown_to_compiler(values: list[Any]) -> list[Any]:
    """Values that the compiler must not know: it divides by a known count as it would not else."""
    if keras.config.backend() != "jax":
        return values
    import jax

    lax: Any = jax.lax
    barred: list[Any] = lax.optimization_barrier(values)
    return barred
