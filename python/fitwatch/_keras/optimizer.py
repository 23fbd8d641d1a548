"""Optimizers: whether their rate can be set, their variables, gradients and averages of weights."""

from contextlib import nullcontext
from typing import Any, NamedTuple

import keras
from keras import ops


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer has a `LearningRateSchedule`, so that its rate cannot be set."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # under loss scaling
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(getattr(inner, "_learning_rate", None), schedule)


def build_optimizer(model: Any) -> None:
    """Creates the optimizer's variables, as the first train step would."""
    strategy = getattr(model, "distribute_strategy", None)  # on TensorFlow
    with nullcontext() if strategy is None else strategy.scope():
        model.optimizer.build(model.trainable_variables)


def averaged_variables(model: Any) -> list[tuple[Any, Any]]:
    """The trained variables of which the optimizer keeps averages, each with its average."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # under loss scaling
    pairs: list[tuple[Any, Any]] = []
    for inner in getattr(optimizer, "optimizers", [optimizer]):
        averages = getattr(inner, "_model_variables_moving_average", [])
        pairs += zip(inner._trainable_variables, averages, strict=False)
    return pairs


class Share(NamedTuple):
    """The gradients that one optimizer gets, of which each updates a variable."""

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]


def shares_of(optimizer: Any, gradients: Any, variables: Any) -> list[Share]:
    """The gradients as the optimizers get them that update variables: unscaled, before clipping.

    Where gradients are accumulated, those of an update are the means since the last one.
    """
    if has_dynamic_scale(optimizer):
        # A custom train step's optimizer is built by its first call.
        scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
        gradients = [one if one is None else ops.divide(one, scale) for one in gradients]
        return shares_of(optimizer.inner_optimizer, gradients, variables)
    pairs = [(one, v) for one, v in zip(gradients, variables, strict=True) if steps(one, v)]
    if not hasattr(optimizer, "optimizers"):
        return [_share(optimizer, pairs)]
    parts = [
        (inner, [(g, v) for g, v in pairs if key_of(inner, v) in _places(inner)])
        for inner in optimizer.optimizers
    ]
    return [_share(inner, part) for inner, part in parts if part]


def _share(optimizer: Any, pairs: list[tuple[Any, Any]]) -> Share:
    gradients, variables = [one for one, _ in pairs], [variable for _, variable in pairs]
    scale, steps = optimizer.loss_scale_factor, optimizer.gradient_accumulation_steps
    if scale is not None:
        gradients = [ops.divide(one, scale) for one in gradients]
    if steps and optimizer.built:
        is_last = ops.equal((optimizer._iterations + 1) % steps, 0)
        places, sums = _places(optimizer), optimizer._accumulated_gradients
        sums = [sums[places[key_of(optimizer, variable)]] for variable in variables]
        dense = map(ops.convert_to_tensor, gradients)
        gradients = [
            ops.where(is_last, (one + before) / steps, one)
            for one, before in zip(dense, sums, strict=True)
        ]
    return Share(optimizer, gradients, variables)


def is_weight(variable: Any) -> bool:
    """Whether a variable is trained; the scales of float8 are given a new value as "gradient"."""
    return not getattr(variable, "overwrite_with_gradient", False)


def steps(gradient: Any, variable: Any) -> bool:
    """Whether a variable steps along its gradient."""
    return gradient is not None and is_weight(variable)


def has_dynamic_scale(optimizer: Any) -> bool:
    """Whether it is a `LossScaleOptimizer`, which leaves out gradients that are not finite."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def clipped(share: Share) -> list[Any]:
    """The gradients after the optimizer's own clipping."""
    found: list[Any] = share.optimizer._clip_gradients(share.gradients)
    return found


def calls(optimizer: Any) -> Any:
    """A counter of the calls, also of those that only accumulate gradients."""
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def trained_by(optimizer: Any) -> list[Any]:
    """The variables that an optimizer was built for."""
    variables: list[Any] = optimizer._trainable_variables
    return variables


def key_of(optimizer: Any, variable: Any) -> Any:
    """What an optimizer knows a variable by."""
    return optimizer._var_key(variable)


def _places(optimizer: Any) -> dict[Any, int]:
    places: dict[Any, int] = optimizer._trainable_variables_indices
    return places


def held_apart(gradients: Any) -> Any:
    """The same gradients; TensorFlow shares no operation on them with the optimizer's.

    It merges equal operations, and does not simplify those whose results are used twice, so that
    the last digits of the weights would change.
    """
    if keras.config.backend() != "tensorflow":
        return gradients
    import tensorflow as tf

    def same(tensor: Any) -> Any:
        # TensorFlow removes identities.
        return tf.compat.v1.placeholder_with_default(tensor, tensor.shape)

    return [
        one if one is None else tf.nest.map_structure(same, one, expand_composites=True)
        for one in gradients
    ]


def values_of(gradient: Any) -> Any:
    """The values of a gradient; of TensorFlow's sparse ones, rows of the same index are summed."""
    if keras.config.backend() != "tensorflow" or not hasattr(gradient, "indices"):
        return gradient
    import tensorflow as tf

    order = tf.argsort(gradient.indices)
    indices = tf.gather(gradient.indices, order)
    # The place of each row among the different ones. Shapes are known, as a compiled step needs.
    is_next = tf.cast(indices[1:] != indices[:-1], tf.int32)
    place = tf.concat([[0], tf.cumsum(is_next)], 0)
    rows = tf.gather(gradient.values, order)
    return tf.math.unsorted_segment_sum(rows, place, tf.shape(rows)[0])
