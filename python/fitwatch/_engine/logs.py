"""The logs of a batch, converted when they are read."""

from collections.abc import Iterator, Mapping
from typing import Any

from fitwatch._engine import readers

_MISSING = object()


class Logs(dict[str, Any]):
    """A dict that converts values to Python floats when they are read.

    The underlying dict holds what the train step returned, until a value is read. Python has no way
    to read it without a method defined here: `dict(logs)` and `**logs` bypass `__getitem__` only if
    `__iter__` is that of dict.

    The compiled core fills it, and learns from `_writes` how often it was modified since.
    """

    _writes = 0
    # Values that a callback has set are not converted.
    _written: frozenset[Any] = frozenset()

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        if type(value) is float or key in self._written:
            return value
        value = readers.reader().read(value)
        super().__setitem__(key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return self[key] if key in self else default  # noqa: SIM401 (this is `get`)

    def values(self) -> Any:
        """All values."""
        self._read_all()
        return super().values()

    def items(self) -> Any:
        """All pairs of key and value."""
        self._read_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """All values, in a plain dict."""
        return dict(self.items())

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        return self.copy() == (other.copy() if isinstance(other, Logs) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return repr(self.copy())

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A copy is a plain dict: it outlives the batch, and may be loaded without fitwatch.
        return dict, (self.copy(),)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._write()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of `key`; first set to `default` if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets all values of a mapping, of pairs, or of keywords."""
        new: Mapping[Any, Any] = dict(*args, **kwargs)
        self._write(*new)
        super().update(new)

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """Removes `key`; returns its value, or `default`."""
        if key not in self and default is not _MISSING:
            return default
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Removes and returns the last pair."""
        self._read_all()
        pair = super().popitem()
        self._write()
        return pair

    def clear(self) -> None:
        """Removes all values."""
        super().clear()
        self._write()

    def _write(self, *keys: Any) -> None:
        self._writes += 1
        self._written |= set(keys)

    def _read_all(self) -> None:
        for key in list(self):
            self[key]


def flatten(logs: Any) -> dict[Any, Any]:
    """Flattens nested logs, in Keras's order: by name, nested dicts in their place."""
    flat: dict[Any, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            flat.update(flatten(value))
        else:
            flat[name] = value
    return flat
