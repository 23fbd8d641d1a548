"""Files at remote paths, which Keras opens through TensorFlow."""


def require_remote(path: str) -> None:
    """Checks that Keras can open a remote path.

    Raises:
        ValueError: TensorFlow is not installed.
    """
    try:
        from keras.src.utils.module_utils import gfile
    except ImportError as error:
        from fitwatch._keras.version import unsupported

        raise unsupported("keras.src.utils.module_utils.gfile") from error
    if not gfile.available:
        raise ValueError(f"the remote path {path!r} needs TensorFlow, which is not installed.")


def read_remote(path: str) -> bytes:
    """The content of a remote file; empty if it does not exist."""
    from keras.src.utils import file_utils

    if not file_utils.exists(path):
        return b""
    with file_utils.File(path, "rb") as file:
        return bytes(file.read())


def write_remote(path: str, content: bytes) -> None:
    """Writes a remote file; replaces an existing one."""
    from keras.src.utils import file_utils

    with file_utils.File(path, "wb") as file:
        file.write(content)
