"""LearningRateMonitor."""

from fitwatch._monitors.health import HealthMonitor
from fitwatch._monitors.rates import Rates


class LearningRateMonitor(HealthMonitor):
    """Records the learning rate of each batch, as a column that other callbacks write and monitor.

    The column `learning_rate` has the rate with which the train step updates the variables, also
    that of a `LearningRateSchedule`, and of each batch that `steps_per_execution` trains in one
    call. `TensorBoard`, `CSVLogger`, `LossHistory(columns=...)` and the progress bar show it. The
    logs of an epoch have the rate of its last batch, unless another callback adds a `learning_rate`
    of its own, as `ReduceLROnPlateau` and `LearningRateScheduler` do.

    Inside a `MultiOptimizer`, each optimizer has a column: `learning_rate/<its name>`. If the step
    also calls other Keras optimizers that are attributes of the model, or only those, as that of a
    GAN does, their columns end with the attribute: `learning_rate/g_optimizer`. If it calls none,
    fitwatch warns once, and there is no column. With several processes, rank 0 writes its own rate.

    Raises:
        ValueError: The callback is in its list twice; raised when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> import keras, numpy as np
        >>> from fitwatch.callbacks import LearningRateMonitor, LossHistory
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> halved = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
        >>> model.compile(keras.optimizers.SGD(halved), "mse")
        >>> history = LossHistory(columns=["learning_rate"])
        >>> watching = [LearningRateMonitor(), history]
        >>> fitted = model.fit(
        ...     np.zeros((3, 1)), np.zeros(3), batch_size=1, verbose=0, callbacks=watching
        ... )
        >>> history.column("learning_rate")
        array([1.  , 0.5 , 0.25], dtype=float32)
    """

    _fitwatch_type = Rates

    def __init__(self) -> None:
        super().__init__()
