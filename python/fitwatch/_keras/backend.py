"""Numbers of a backend: how they compare, and their conversion to Python."""

from typing import Any

import keras


def comparison() -> tuple[bool, bool] | None:
    """How this backend compares Python floats: `(in double precision, subnormals are zero)`.

    Determined by test comparisons. None for a float type narrower than float32, which the core does
    not support.
    """
    double = _less(1.0, 1.0 + 1e-12)
    if not double and not _less(1.0, 1.0 + 1e-6):
        return None
    subnormal = 1e-310 if double else 1e-40
    return double, not _less(0.0, subnormal)


def to_number(value: Any) -> Any:
    """Converts a logged value to a float; or to a NumPy array, or returns it unchanged.

    The rule of Keras's `pythonify_logs`, except that a KeyboardInterrupt passes through.
    """
    try:
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        return float(value)
    except Exception:
        return value


def _less(a: float, b: float) -> bool:
    return bool(keras.ops.less(a, b))
