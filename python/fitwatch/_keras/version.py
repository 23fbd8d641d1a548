"""The error for a version of Keras that lacks a private name."""

import keras


def unsupported(what: str) -> RuntimeError:
    """The error for a private name that this version of Keras lacks."""
    return RuntimeError(
        f"fitwatch needs {what}, which Keras {keras.__version__} does not have. "
        "fitwatch is tested with Keras 3.13 to 3.15."
    )
