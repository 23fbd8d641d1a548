"""Numbers of a backend: how they compare, and their conversion to Python."""

from functools import cache
from typing import Any

import keras

_SUBNORMAL = 1e-310


def comparison() -> tuple[bool, bool] | None:
    """How this backend compares Python floats: `(in double precision, subnormals are zero)`.

    Determined by test comparisons, once for each setting that they depend on. None for a float type
    narrower than float32, which the core does not support.
    """
    # Torch compares with the processor's setting for this thread (`torch.set_flush_denormal`).
    settings: list[Any] = [keras.config.backend(), keras.config.floatx(), _SUBNORMAL > 0.0]
    if keras.config.backend() == "jax":
        import jax

        config: Any = jax.config
        settings += [config.jax_enable_x64, config.jax_default_device]
    return _comparison(*settings)


def to_number(value: Any) -> Any:
    """Converts a logged value to a float; or to a NumPy array, or returns it unchanged.

    The rule of Keras's `pythonify_logs`, except that a KeyboardInterrupt passes through.
    """
    if type(value) is float:
        return value
    try:
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        return float(value)
    except Exception:
        return value


@cache
def _comparison(*_settings: Any) -> tuple[bool, bool] | None:
    double = _less(1.0, 1.0 + 1e-12)
    if not double and not _less(1.0, 1.0 + 1e-6):
        return None
    return double, not _less(0.0, _SUBNORMAL if double else 1e-40)


def _less(a: float, b: float) -> bool:
    return bool(keras.ops.less(a, b))
