"""The per-batch loss: the first of the step columns.

`logs["loss"]` in Keras's batch hooks is the mean over the epoch so far, and with
`steps_per_execution=N` a hook is called once in N batches. The loss of a batch exists inside the
train step, which passes it to the loss tracker. While a callback wants it, `fit()` uses a second
train function, made as Keras makes its own, around a step that also returns what the tracker was
given. The model, its variables and its logs stay as they are, and its own function is restored at
the end.
"""

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras

from fitwatch import _core
from fitwatch._keras import train_step
from fitwatch._keras.frames import Fit
from fitwatch._warn import warn

# The key under which the loss leaves the train step among the logs; it is removed at once.
KEY = "fitwatch: the loss of the batch"

Function = Callable[..., Any]


class Given(NamedTuple):
    """What the loss tracker was given in one step."""

    loss: Any
    weight: Any


class User(NamedTuple):
    """One use of the losses."""

    frame: int
    """That of its `fit()`."""
    gone: list["weakref.finalize[Any, Any]"]
    """End the use when a `fit()` ends without a call of `release`."""


class BatchLoss:
    """The losses of the batches that the last call of a model's train function trained.

    Args:
        model: A compiled model in a `fit()`.
    """

    steps: int
    """Batches that a call trains; the last call of an epoch may train fewer."""

    exact = True
    """False once the loss of a step could not be taken; there are no values after that."""

    trained = 0
    """Batches of this `fit()` whose losses were taken."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        # The losses of the last call of the train function.
        self._taken: list[Any] = []
        self.columns = _core.StepColumns(["loss"], self)
        self.steps = int(model.steps_per_execution)
        self._name = type(model).__name__
        self._original = model.train_function
        self._train_step = model.train_step
        self._tracker = train_step.loss_tracker(model)
        self._users: dict[int, User] = {}
        # The `fit()` that is watched, and the outer ones with the losses of their last calls.
        self._frame: int | None = None
        self._outer: list[tuple[int | None, list[Any]]] = []
        self._caught = threading.local()
        self._lock = threading.Lock()
        self._stepping = 0
        self._replaced = ExitStack()
        self._quiet = True
        self._reported = False
        try:
            if self._tracker is None:
                raise ValueError("it has no loss tracker")
            make = self._build(model)
        except Exception as error:
            self._reason = f"{type(error).__name__}: {error}"
            self.exact = False
            make = self._original
        else:
            self._reason = "its train_step does not hand one loss to Keras's loss tracker"

        original, taken, caller = self._original, self._taken, sys._getframe

        def train_function(*args: Any) -> Any:
            # Only calls from the watched `fit()` count: a callback may train other batches.
            if id(caller(1)) != self._frame:
                return original(*args)
            taken.clear()
            result = make(*args)
            if not taken or not self.exact:
                self._give_up()
            self.trained += len(taken)
            return result

        train_function._fitwatch_batch_loss = self  # type: ignore[attr-defined]
        self._function = train_function

    @property
    def values(self) -> tuple[Sequence[Any]]:
        """What `columns` reads: empty if the losses could not be taken."""
        model = self._model()
        if model is None or not self._users:
            return ((),)
        if model.train_function is not self._function:
            self._reason = "its train function was replaced in the middle of an epoch"
            self._give_up()
        return (self._taken,)

    def stands_for(self, function: Any) -> bool:
        """Whether it replaces a train function."""
        return bool(self._original == function)

    def begin(self, user: Any, model: Any, fit: Fit, *, quiet: bool) -> None:
        """Replaces the model's train function in a `fit()`."""
        if fit.frame != self._frame:
            self._outer.append((self._frame, self._taken.copy()))
            self._frame = fit.frame
            self._taken.clear()
            self.trained, self._quiet, self._reported = 0, True, False
        self._quiet = self._quiet and quiet
        # No hook is called after an exception in a stock list.
        gone = [
            weakref.finalize(owner, _expire, weakref.ref(self), id(user)) for owner in fit.owners
        ]
        for one in gone:
            one.atexit = False
        before = self._users.get(id(user))
        self._users[id(user)] = User(fit.frame, gone)
        for one in [] if before is None else before.gone:
            one.detach()
        model.train_function = self._function

    def release(self, user: Any) -> None:
        """Ends one use."""
        self._end(id(user))

    def _end(self, user_id: int) -> None:
        """Ends one use, and restores what the last use of a `fit()` or of all has replaced."""
        user = self._users.pop(user_id, None)
        for one in [] if user is None else user.gone:
            one.detach()
        watched = {user.frame for user in self._users.values()}
        while self._outer and self._frame not in watched:
            self._frame, self._taken[:] = self._outer.pop()
        model = self._model()
        if not self._users and model is not None and model.train_function is self._function:
            model.train_function = self._original

    def _give_up(self) -> None:
        """Warns once per fit that there are no per-batch losses."""
        self.exact = False
        self._taken.clear()
        if not self._reported and not self._quiet:
            self._reported = True
            warn(
                f"fitwatch: the loss of each batch of this {self._name} cannot be taken: "
                f"{self._reason}. Keras's running mean is used instead."
            )

    def _build(self, model: Any) -> Function:
        """A train function that puts the losses into `_taken`."""
        raise NotImplementedError(f"the backend {keras.config.backend()!r} is not known")

    def _step(self, *args: Any) -> Any:
        """The model's train step, which also returns what the loss tracker was given."""
        with self._catching() as given:
            result = self._train_step(*args)
        # JAX's steps give logs and state.
        logs = result[0] if isinstance(result, tuple) else result
        if len(given) != 1 or not isinstance(logs, dict) or not self._is_usable(given[0], args):
            self.exact = False
            return result
        logs = self._hand_out(logs, self._handed_out(given[0]))
        return (logs, *result[1:]) if isinstance(result, tuple) else logs

    def _is_usable(self, given: Given, args: Any) -> bool:
        """Whether the loss is a scalar of the step itself, not of a computation inside it."""
        return keras.ops.is_tensor(given.loss) and len(given.loss.shape) == 0

    def _hand_out(self, logs: dict[str, Any], loss: Any) -> dict[str, Any]:
        """The logs that leave the step, with the loss among them."""
        return {**logs, KEY: loss}

    def _handed_out(self, given: Given) -> Any:
        return keras.ops.cast(given.loss, self._tracker.dtype)

    @contextmanager
    def _catching(self) -> Iterator[list[Given]]:
        """Collects what this thread gives to the loss tracker.

        TensorFlow runs the steps of several devices in turn, each in a thread.
        """
        given: list[Given] = []
        tracker, update = self._tracker, self._tracker.update_state

        def update_state(*args: Any, **kwargs: Any) -> Any:
            caught = getattr(self._caught, "given", None)
            if caught is not None:
                known = {**dict(zip(("values", "sample_weight"), args, strict=False)), **kwargs}
                caught.append(Given(known.get("values"), known.get("sample_weight")))
            return update(*args, **kwargs)

        with self._lock:
            self._stepping += 1
            if self._stepping == 1:
                self._replaced.enter_context(
                    train_step.replaced(tracker, update_state=update_state)
                )
        before = getattr(self._caught, "given", None)
        self._caught.given = given
        try:
            yield given
        finally:
            self._caught.given = before
            with self._lock:
                self._stepping -= 1
                if not self._stepping:
                    self._replaced.close()


def _expire(losses: "weakref.ref[BatchLoss]", user_id: int) -> None:
    """Called when a `fit()` has ended without `release`."""
    alive = losses()
    if alive is not None:
        alive._end(user_id)
