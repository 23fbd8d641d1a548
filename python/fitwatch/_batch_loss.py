"""The loss that each batch really had.

`logs["loss"]` in Keras's batch hooks is the mean over the epoch so far, and with
`steps_per_execution=N` a hook comes once in N batches. The loss itself passes by inside the train
step, on its way to the loss tracker. So while somebody wants it, `fit()` has a second train
function, made as Keras makes its own, around a step that also hands out what the tracker was given.
The model, its variables and logs know nothing of it, and the first one is put back in the end.
"""

import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import keras

from fitwatch import _keras

# Under this name the loss leaves the train step among the logs, out of which it is taken at once.
KEY = "fitwatch: the loss of the batch"

Function = Callable[..., Any]


def watch(callback: Any, *, quiet: bool = False) -> "BatchLoss | None":
    """Has losses taken in the `fit()` that is calling the callback, until `release(callback)`.

    Called again when an epoch begins, it takes care of a train function that was changed.

    Args:
        callback: The callback.
        quiet: Whether it can do without, so that nothing is said where they cannot be taken.

    Returns:
        Where they are found: the same for all callbacks of a model. None if no `fit()` is calling.
    """
    model = _keras.model_of(callback)
    fit = None if model is None else _keras.fit_of(model)
    if fit is None:
        return None
    function = model.train_function
    losses: BatchLoss | None = getattr(function, "_fitwatch_batch_loss", None)
    before: BatchLoss | None = getattr(callback, "_fitwatch_losses", None)
    if losses is None and before is not None and before.stands_for(function):
        losses = before
    if losses is None:
        losses = _KINDS.get(keras.config.backend(), BatchLoss)(model)
        with suppress(AttributeError):  # a method, which has none of its own
            # It lives as long as the function that it stands for: until the model is compiled anew.
            function._fitwatch_batch_loss = losses
    losses.begin(callback, model, fit, quiet=quiet)
    return losses


class Given(NamedTuple):
    """What the loss tracker was given."""

    loss: Any
    weight: Any


class BatchLoss:
    """The losses of the batches that the last call of a model's train function has trained.

    Args:
        model: A compiled model in a `fit()`.
    """

    steps: int
    """Batches that a call trains. The last call of an epoch may have fewer."""

    exact = True
    """False once a step's loss could not be taken; from then on there are no values."""

    trained = 0
    """Batches whose losses were taken in this `fit()`."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self._values: Sequence[Any] = ()
        self.steps = int(model.steps_per_execution)
        self._name = type(model).__name__
        self._original = model.train_function
        self._train_step = model.train_step
        self._tracker = _keras.loss_tracker(model)
        self._frame: int | None = None
        # What ends the use of those who go without a word.
        self._users: dict[int, list[weakref.finalize[Any, Any]]] = {}
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

        def train_function(*args: Any) -> Any:
            # Only from the `fit()` that is watched: a callback may train batches of its own.
            if id(sys._getframe(1)) != self._frame:
                return self._original(*args)
            logs = make(*args)
            if not self.exact or not self._values:
                self._give_up()
            self.trained += len(self._values)
            return logs

        train_function._fitwatch_batch_loss = self  # type: ignore[attr-defined]
        self._function = train_function

    @property
    def values(self) -> Sequence[Any]:
        """In order, as numbers or as the backend has them; none if they could not be taken."""
        model = self._model()
        if model is None or not self._users:
            return ()
        if model.train_function is not self._function:
            self._reason = "its train function was made anew in the middle of an epoch"
            self._give_up()
        return self._values

    def stands_for(self, function: Any) -> bool:
        """Whether it takes the place of a train function."""
        return bool(self._original == function)

    def begin(self, callback: Any, model: Any, fit: _keras.Fit, *, quiet: bool) -> None:
        """Takes the place of the model's train function in a `fit()`."""
        if not self._users or fit.frame != self._frame:
            self.trained, self._quiet, self._frame = 0, True, fit.frame
        self._quiet = self._quiet and quiet
        self.leave(callback)
        # Nobody tells of an exception in a stock list.
        self._users[id(callback)] = [
            weakref.finalize(owner, _expire, weakref.ref(self), id(callback), weakref.ref(model))
            for owner in fit.owners
        ]
        for gone in self._users[id(callback)]:
            gone.atexit = False
        model.train_function = self._function

    def release(self, callback: Any) -> None:
        """Ends the use of one callback; with the last one, the model has its own function back."""
        model = _keras.model_of(callback)
        self.leave(callback)
        if not self._users and model is not None:
            self.restore(model)

    def restore(self, model: Any) -> None:
        """Puts the model's own train function back."""
        self._values, self._frame, self._reported = (), None, False
        if model.train_function is self._function:
            model.train_function = self._original

    def leave(self, callback: Any) -> None:
        """Ends the use of one callback."""
        for gone in self._users.pop(id(callback), []):
            gone.detach()

    def _give_up(self) -> None:
        """Warns, once in a fit, that there are no losses of batches."""
        self.exact, self._values = False, ()
        if not self._reported and not self._quiet:
            self._reported = True
            warnings.warn(
                f"fitwatch: the loss of each batch of this {self._name} cannot be taken: "
                f"{self._reason}. Keras's running mean takes its place.",
                stacklevel=2,
            )

    def _build(self, model: Any) -> Function:
        """A train function that leaves the values behind."""
        raise NotImplementedError(f"the backend {keras.config.backend()!r} is not known")

    def _step(self, *args: Any) -> Any:
        """The model's train step, which also hands out what the loss tracker was given."""
        with self._catching() as given:
            result = self._train_step(*args)
        # JAX's steps give logs and state.
        logs = result[0] if isinstance(result, tuple) else result
        if len(given) != 1 or not isinstance(logs, dict) or not self._is_usable(given[0], args):
            self.exact = False
            return result
        logs = {**logs, KEY: self._handed_out(given[0])}
        return (logs, *result[1:]) if isinstance(result, tuple) else logs

    def _is_usable(self, given: Given, args: Any) -> bool:
        """Whether the loss is one number, of the step itself and not of a computation inside."""
        return keras.ops.is_tensor(given.loss) and len(given.loss.shape) == 0

    def _handed_out(self, given: Given) -> Any:
        return keras.ops.cast(given.loss, self._tracker.dtype)

    @contextmanager
    def _catching(self) -> Iterator[list[Given]]:
        """Collects what the loss tracker is given by this thread.

        TensorFlow runs the steps of several devices in turn, in a thread each.
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
                self._replaced.enter_context(_keras.replaced(tracker, update_state=update_state))
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


class JaxLoss(BatchLoss):
    """JAX trains several steps in a loop of Python's: every loss passes by."""

    def _build(self, model: Any) -> Function:
        values: list[Any] = []

        def around(step: Function) -> Function:
            def one_step(state: Any, data: Any) -> Any:
                logs, state = step(state, data)
                if isinstance(logs, dict) and KEY in logs:
                    values.append(logs.pop(KEY))
                return logs, state

            return one_step

        make = _keras.build_train_function(model, self._step, around)

        def train_function(state: Any, iterator: Any) -> Any:
            values.clear()
            self._values = values
            logs, state = make(state, iterator)
            if isinstance(logs, dict):
                logs.pop(KEY, None)
            return logs, state

        return train_function

    def _is_usable(self, given: Given, args: Any) -> bool:
        if not super()._is_usable(given, args):
            return False
        # A value out of a gradient or a loop inside the step cannot leave it.
        trace = _keras.trace_of(given.loss)
        traces = map(_keras.trace_of, keras.tree.flatten(args))
        return trace is None or any(trace is own for own in traces)


class TensorFlowLoss(BatchLoss):
    """TensorFlow loops over several steps inside its graph: there the losses go into a queue."""

    def _build(self, model: Any) -> Function:
        import tensorflow as tf

        values: list[Any] = []
        # No limit, so that what an exception left in it blocks nobody.
        queue = tf.queue.FIFOQueue(-1, [self._tracker.dtype], [()]) if self.steps > 1 else None

        def around(step: Function) -> Function:
            def one_step(data: Any) -> Any:
                logs = step(data)
                if not isinstance(logs, dict) or KEY not in logs:
                    return logs
                logs = dict(logs)
                loss = logs.pop(KEY)
                if len(loss.shape):  # of several devices
                    loss = loss[0] / loss[1]
                if tf.executing_eagerly():
                    values.append(loss)
                elif queue is not None:
                    queue.enqueue(loss)
                else:
                    logs[KEY] = loss
                return logs

            return one_step

        make = _keras.build_train_function(model, self._step, around)

        def train_function(iterator: Any) -> Any:
            values.clear()
            self._values = values
            try:
                logs = make(iterator)
            finally:
                if queue is not None and (count := int(queue.size())):
                    values.extend(queue.dequeue_many(count).numpy().tolist())
            if isinstance(logs, dict) and KEY in logs:
                values.append(logs.pop(KEY))
            return logs

        return train_function

    def _is_usable(self, given: Given, args: Any) -> bool:
        import tensorflow as tf

        # A value out of a loop or a branch inside the step cannot leave it.
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        own = getattr(given.loss, "graph", None) if graph is not None else None
        return super()._is_usable(given, args) and own is graph

    def _handed_out(self, given: Given) -> Any:
        import tensorflow as tf

        loss = super()._handed_out(given)
        if tf.distribute.get_replica_context().num_replicas_in_sync == 1:
            return loss
        # Keras takes the mean over the devices of both; one that had no sample does not count.
        weight = keras.ops.cast(1 if given.weight is None else given.weight, loss.dtype)
        return tf.stack([tf.math.multiply_no_nan(loss, weight), weight])


class TorchLoss(BatchLoss):
    """Torch asks the model for its train step with every batch."""

    def _build(self, model: Any) -> Function:
        original, model = self._original, weakref.ref(model)

        def train_function(data: Any) -> Any:
            self._values = ()
            alive = model()
            self._train_step = alive.train_step
            with _keras.replaced(alive, train_step=self._step):
                logs = original(data)
            if isinstance(logs, dict) and KEY in logs:
                self._values = (logs.pop(KEY),)
            return logs

        return train_function

    def _handed_out(self, given: Given) -> Any:
        return super()._handed_out(given).detach()


def _expire(losses: "weakref.ref[BatchLoss]", user: int, model: "weakref.ref[Any]") -> None:
    """A `fit()` is gone without a word."""
    alive, trained = losses(), model()
    if alive is not None:
        alive._users.pop(user, None)
        if trained is not None and not alive._users:
            alive.restore(trained)


_KINDS: dict[str, type[BatchLoss]] = {
    "jax": JaxLoss,
    "tensorflow": TensorFlowLoss,
    "torch": TorchLoss,
}
