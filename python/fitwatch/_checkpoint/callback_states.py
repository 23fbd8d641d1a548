"""The states of the callbacks in a list, saved in a backup and restored from it."""

import json
from typing import Any

from fitwatch._checkpoint.run_state import run_state_of
from fitwatch._checkpoint.state_values import from_json, to_json
from fitwatch._engine.naming import named
from fitwatch._keras import stock
from fitwatch._warn import warn

# The state attributes of the one callback of Keras with a state that fitwatch does not replace.
_OF_ORBAX = (
    "best",
    "_batches_seen_since_last_saving",
    "_last_batch_seen",
    "_total_batches_seen",
)


class CallbackStates:
    """Saves and restores the states of the callbacks in a list.

    These are the states of fitwatch's callbacks, of others with `state_dict()` and
    `load_state_dict()`, and of Keras's that fitwatch knows. Callbacks are matched by class,
    monitored metric and position among equals.

    Args:
        callbacks: All callbacks of a list.
        history: Whether to include the epochs of `History`.
    """

    def __init__(self, callbacks: list[Any], *, history: bool) -> None:
        self._history = history
        self._callbacks = dict(named(callbacks))

    def take(self, arrays: list[Any]) -> dict[str, Any]:
        """The states, by name; arrays are added to `arrays`.

        Raises:
            TypeError: The state of a user's callback is not JSON-serializable.
        """
        states = {}
        for name, callback in self._callbacks.items():
            if not has_state(callback, history=self._history):
                continue
            entry: dict[str, Any] = {}
            own = run_state_of(callback)
            if own is not None:
                entry["mark"] = own.mark(callback)
            if _is_stock_history(callback):
                entry["state"] = to_json({"epoch": callback.epoch, "history": callback.history})
            elif has_method(callback, "state_dict"):
                entry["state"] = _as_json(name, callback.state_dict())
            elif known := _state_names(callback):
                entry["state"] = to_json({one: getattr(callback, one) for one in known})
            if own is not None:
                kept = own.arrays(callback)
                entry["arrays"] = [len(arrays), len(kept)]
                arrays.extend(kept)
            states[name] = entry
        return states

    def begin(self, states: dict[str, Any], arrays: list[Any]) -> None:
        """Restores the states of fitwatch's callbacks, before training begins.

        Raises:
            ValueError: A state does not fit its callback.
        """
        for name, callback in self._callbacks.items():
            entry, own = states.get(name, {}), run_state_of(callback)
            if own is not None and "state" in entry:
                if _is_history(callback) and not self._history:
                    continue
                callback.load_state_dict(entry["state"])
                start, count = entry["arrays"]
                own.load_arrays(callback, arrays[start : start + count])
        for name, callback in self._callbacks.items():
            mark, own = states.get(name, {}).get("mark"), run_state_of(callback)
            if mark is not None and own is not None:
                own.go_on(callback, mark)
        for name in states.keys() - self._callbacks.keys():
            warn(
                f"BackupAndRestore: the backup has a state of {name}, which is not in the list of "
                "callbacks now."
            )

    def forget(self) -> None:
        """Undoes `begin`, when the training fails to begin."""
        for callback in self._callbacks.values():
            own = run_state_of(callback)
            if own is not None:
                own.forget(callback)

    def begin_first_epoch(self, states: dict[str, Any], trained: int) -> None:
        """Restores the other states, after `on_train_begin`, in which callbacks may reset them."""
        for name, callback in self._callbacks.items():
            own = run_state_of(callback)
            if trained and own is not None:
                own.begin_inside(callback, trained)
            state = states.get(name, {}).get("state")
            if state is None or own is not None:
                continue
            if _is_stock_history(callback):
                if self._history:
                    callback.epoch = list(state["epoch"])
                    callback.history = dict(from_json(state["history"]))
            elif has_method(callback, "load_state_dict"):
                callback.load_state_dict(state)
            else:
                for one in _state_names(callback):
                    setattr(callback, one, from_json(state[one]))


def has_state(callback: Any, *, history: bool) -> bool:
    """Whether a backup has a state of the callback."""
    if _is_history(callback):
        return history
    own = all(has_method(callback, name) for name in ("state_dict", "load_state_dict"))
    return own or run_state_of(callback) is not None or bool(_state_names(callback))


# These look at the type: a mock passes any isinstance check and has every attribute.


def has_method(callback: Any, name: str) -> bool:
    """Whether the class of a callback has a method."""
    return callable(getattr(type(callback), name, None))


def _state_names(callback: Any) -> tuple[str, ...]:
    """The state attributes of one of Keras's callbacks; empty for most."""
    orbax = stock.STOCK.get("OrbaxCheckpoint", ())  # since Keras 3.14
    return _OF_ORBAX if issubclass(type(callback), orbax) else ()


def _is_history(callback: Any) -> bool:
    return issubclass(type(callback), stock.STOCK["History"])


def _is_stock_history(callback: Any) -> bool:
    return _is_history(callback) and run_state_of(callback) is None


def _as_json(name: str, state: Any) -> Any:
    try:
        _check_keys(state)
        return json.loads(json.dumps(state))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"BackupAndRestore: the state_dict() of {name} must be one that json can write; got "
            f"{state!r} ({error})."
        ) from None


def _check_keys(state: Any) -> None:
    """Checks that all keys are strings: `json` would convert others silently."""
    if isinstance(state, dict):
        for key, value in state.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _check_keys(value)
    elif isinstance(state, (list, tuple)):
        for value in state:
            _check_keys(value)
