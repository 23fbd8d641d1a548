"""GradientMonitor."""

from fitwatch import _check
from fitwatch._monitors.gradients import Gradients
from fitwatch._monitors.health import HealthMonitor


class GradientMonitor(HealthMonitor):
    """Measures the gradients of each batch, as columns that other callbacks write and monitor.

    The columns are about the gradients that the train step gives to `model.optimizer`, after loss
    scaling is undone and before clipping:

    - `grad_norm`: the L2 norm of all of them together, `sqrt(sum(g ** 2))`.
    - `grad_norm_clipped`: the same after the optimizer's own clipping (`clipnorm`, `clipvalue`,
      `global_clipnorm`).
    - `grad_norm/<layer>`: the norm of the gradients of one layer of `model.layers`; of variables
      that no layer has, `grad_norm/other`.
    - `update_ratio`: the L2 norm of the change of all trainable variables, divided by their own
      norm before it.

    `TensorBoard`, `CSVLogger`, `LossHistory(columns=...)` and the progress bar show them, and
    `EarlyStopping("grad_norm", unit="batch", divergence_threshold=1e3)` monitors one. The logs of
    an epoch have the means of its batches. If a metric has the name of a column, fitwatch warns,
    and leaves the column out.

    With `gradient_accumulation_steps=n`, the gradients of an update are the means of n batches;
    those of a batch without an update are its own, and its `update_ratio` is 0. A batch whose
    gradients `LossScaleOptimizer` leaves out, because they are not finite, has no values. A sparse
    gradient of an embedding is summed up by row.

    If the step also calls other Keras optimizers that are attributes of the model, or only those,
    as that of a GAN does, their columns end with the attribute: `grad_norm/g_optimizer`. If it
    calls none, or on TensorFlow trains on several devices, fitwatch warns once, and there are no
    columns. With several processes, each measures the gradients that its own optimizer gets, and
    rank 0 writes its own.

    All is computed on the device, in float32; only the columns leave it. Losses, weights and other
    logs are the same as without the monitor.

    Args:
        norm: Whether to measure `grad_norm`. Default True.
        clipped: Whether to measure `grad_norm_clipped`. Default False.
        per_layer: Whether to measure `grad_norm/<layer>`. Default False.
        update_ratio: Whether to measure `update_ratio`. Default False.
        every: Measures every N-th batch, by the optimizer's own count (batches, 1 or more). Other
            batches have no values (NaN in LossHistory, NA in CSV files, no point in event files),
            and patience does not count them. Default 1.

    Raises:
        ValueError: An argument has a value that is not allowed, or all of `norm`, `clipped`,
            `per_layer` and `update_ratio` are False; or the callback is in its list twice, which is
            raised when training begins.
        TypeError: `every` is not a number.
        RuntimeError: Another running `fit()` uses this callback.

    Example:
        >>> import keras, numpy as np
        >>> from fitwatch.callbacks import GradientMonitor
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.set_weights([np.array([[1.0]])])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((8, 1)), np.zeros(8)
        >>> history = model.fit(x, y, verbose=0, callbacks=[GradientMonitor()])
        >>> history.history["grad_norm"]
        [2.0]
    """

    _fitwatch_type = Gradients

    def __init__(
        self,
        *,
        norm: bool = True,
        clipped: bool = False,
        per_layer: bool = False,
        update_ratio: bool = False,
        every: int = 1,
    ) -> None:
        super().__init__()
        self.norm = _check.flag("norm", norm)
        self.clipped = _check.flag("clipped", clipped)
        self.per_layer = _check.flag("per_layer", per_layer)
        self.update_ratio = _check.flag("update_ratio", update_ratio)
        self.every = _check.count("every", every, minimum=1)
        if not (self.norm or self.clipped or self.per_layer or self.update_ratio):
            raise ValueError(
                "one of norm, clipped, per_layer and update_ratio must be True; got norm=False, "
                "and the others are False too."
            )
