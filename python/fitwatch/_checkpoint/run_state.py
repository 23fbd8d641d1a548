"""The state of a callback in a backup: values, weights, and positions in its files."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

from fitwatch._checkpoint.state_values import to_json
from fitwatch._engine.attachment import Part, parts_of

VERSION = 1


class Field(NamedTuple):
    """One value of a state."""

    read: Callable[[Any], Any]
    """Converts it from JSON; raises a ValueError that says what is allowed."""
    path: str = ""
    """The dotted attribute path from the callback; empty if it is the name of the field."""
    is_new: bool = False
    """Whether states of earlier versions do not have it."""


class RunState(Part):
    """Saves and restores the state of a callback.

    The state is what a callback has accumulated while it ran (a wait, a best value), without its
    arguments and without weights. Every value is a JSON value; infinities and NaN are strings.

    Attributes:
        fields: The values of the state, by name.
        loaded: Values that the next `fit()`, or one that is beginning, resumes from.
    """

    fields: ClassVar[dict[str, Field]] = {}
    # The fields that go back with the weights: not those that count batches or describe files.
    rewound: ClassVar[frozenset[str]] = frozenset()
    loaded: dict[str, Any] | None = None

    def take(self, callback: Any) -> dict[str, Any]:
        """The values of the state."""
        return {
            name: to_json(attrgetter(field.path or name)(callback))
            for name, field in self.fields.items()
        }

    def put(self, callback: Any, values: dict[str, Any]) -> None:
        """Sets the result of `check`."""
        for name, value in values.items():
            _set(callback, self.fields[name].path or name, value)

    def check(self, callback: Any, state: Any) -> dict[str, Any]:
        """Converts the values of a state of this callback's class.

        Raises:
            TypeError: `state` is not a dict.
            ValueError: The state is of another class or version, or damaged.
        """
        name = class_name(callback)
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict of {name}.state_dict(); got {state!r}.")
        if state.get("class") != name:
            raise ValueError(f"state must be one of {name}; got one of {state.get('class')!r}.")
        version = state.get("version")
        if type(version) is not int or version != VERSION:
            raise ValueError(
                f"state of {name} has version {version!r}; this fitwatch knows version {VERSION}."
            )
        missing = [key for key, of in self.fields.items() if key not in state and not of.is_new]
        if missing:
            raise ValueError(f"state of {name} is damaged: it has no {', '.join(missing)}.")
        values = {}
        for key, field in self.fields.items():
            if key not in state:
                continue
            try:
                values[key] = field.read(state[key])
            except ValueError as allowed:
                raise ValueError(
                    f"state of {name} is damaged: {key} must be {allowed}; got {state[key]!r}."
                ) from None
        return values

    def load(self, callback: Any, state: Any) -> None:
        """Sets a state, which the next `fit()` resumes from; raises as `check` does."""
        values = self.check(callback, state)
        self.put(callback, values)
        self.loaded = values

    def forget(self, callback: Any) -> None:
        """Undoes `load`, when the training fails to begin."""
        self.loaded = None
        self.load_arrays(callback, [])
        self.go_on(callback, None)

    # Going back to a moment of the same fit.

    def moment(self, callback: Any) -> Any:
        """What `rewind` restores."""
        names = [self.fields[name].path or name for name in self.rewound]
        return {name: attrgetter(name)(callback) for name in names}

    def rewind(self, callback: Any, moment: Any) -> None:
        """Restores what belongs to the weights, which go back to a moment."""
        for path, value in moment.items():
            _set(callback, path, value)

    # Parts that are not JSON.

    def arrays(self, callback: Any) -> list[Any]:
        """Weights that belong to the state."""
        return []

    def load_arrays(self, callback: Any, arrays: list[Any]) -> None:
        """Restores the weights, after the state was loaded."""

    def mark(self, callback: Any) -> Any:
        """The positions in the callback's files, for a backup; None without files."""
        return None

    def go_on(self, callback: Any, mark: Any) -> None:
        """Makes the next `fit()` continue the files from a mark; None means from their ends."""

    def begin_inside(self, callback: Any, trained: int) -> None:
        """Called before an epoch of which this many batches are already trained."""

    # The hooks of a fit.

    def train_begin(self, callback: Any) -> None:
        if self.loaded is not None:  # the callback has just reset it
            self.put(callback, self.loaded)

    def epoch_begin(self, callback: Any, epoch: int) -> None:
        self.loaded = None

    def train_end(self, callback: Any) -> None:
        self.loaded = None

    def close(self, callback: Any, *, interrupted: bool) -> None:
        """Keeps a loaded state for the next `fit()`."""


def _set(callback: Any, path: str, value: Any) -> None:
    owner, _, attribute = path.rpartition(".")
    setattr(attrgetter(owner)(callback) if owner else callback, attribute, value)


def run_state_of(callback: Any) -> RunState | None:
    """The run state of a callback of fitwatch's; None for any other callback."""
    return next(iter(parts_of(callback, RunState)), None)


def class_name(callback: Any) -> str:
    """The name of the fitwatch class that a callback is an instance of."""
    ours = (c for c in type(callback).__mro__ if c.__module__.startswith("fitwatch.callbacks."))
    return next(ours, type(callback)).__name__


# Methods of the callbacks that have a state.


def state_dict(self: Any) -> dict[str, Any]:
    """Returns what the callback has accumulated while it ran, without arguments and weights.

    Returns:
        A dict that `json` can write: a copy, with a class name and a version. Infinities and NaN
        are strings.

    Example:
        >>> from fitwatch.callbacks import EarlyStopping
        >>> EarlyStopping("loss").state_dict()["wait"]
        0
    """
    self._fitwatch.drain()
    taken = self._fitwatch.state.take(self)
    return {"class": class_name(self), "version": VERSION, **taken}


def load_state_dict(self: Any, state: dict[str, Any]) -> None:  # noqa: D417
    """Sets the state.

    A state that is loaded before a `fit()`, or while one begins, is where that `fit()` resumes; the
    one after it starts over as usual.

    Args:
        state: The result of `state_dict()`, of this class and a version that is not newer.

    Raises:
        TypeError: `state` is not a dict.
        ValueError: The state is of another class, version or list of metrics, or damaged. The
            callback is unchanged.

    Example:
        >>> from fitwatch.callbacks import EarlyStopping
        >>> before, after = EarlyStopping("loss"), EarlyStopping("loss")
        >>> before.wait = 3
        >>> after.load_state_dict(before.state_dict())
        >>> after.wait
        3
    """
    self._fitwatch.drain()
    self._fitwatch.state.load(self, state)
