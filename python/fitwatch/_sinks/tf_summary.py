"""TensorFlow's summary writers, for events that the TensorBoard callback does not write itself.

These are graphs of traces, and the `tf.summary` calls in user code.
"""

import builtins
import operator
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitwatch import _core
from fitwatch._keras.summary_ops import resource
from fitwatch._sinks.listened_file import ListenedFile


class SummaryWriter:
    """A TensorFlow summary writer, created when it is first written to.

    TensorBoard follows one event file in a live folder. So TensorFlow writes to a temporary folder,
    and fitwatch's event file copies the events as they come. If TensorFlow writes the event file
    itself, this is that writer.

    It has the methods of TensorFlow's writer that TensorFlow, Keras's callback and its subclasses
    call. `failed` gets exceptions of TensorFlow and of the disk, which must not end the training.
    """

    def __init__(
        self,
        file: Callable[[], _core.EventFile | ListenedFile],
        failed: Callable[[Exception], None],
    ) -> None:
        self._file = file
        self._failed = failed
        self._writer: Any = None
        self._following: _core.EventFile | None = None

    def open(self) -> Any:
        """TensorFlow's writer, created if necessary."""
        if self._writer is None:
            file = self._file()
            if isinstance(file, ListenedFile):
                self._writer = file.writer
                return self._writer
            import tensorflow as tf

            self._folder = tempfile.TemporaryDirectory(
                prefix="fitwatch-", ignore_cleanup_errors=True
            )
            # Without a queue: TensorFlow is not told when the process ends.
            writer = tf.summary.create_file_writer(self._folder.name, max_queue=0)
            (name,) = os.listdir(self._folder.name)
            file.follow(os.path.join(self._folder.name, name))
            self._writer, self._following = writer, file
        return self._writer

    def can_open(self) -> bool:
        """Whether TensorFlow's writer can be created; if not, that is reported."""
        self._try(self.open)
        return self._writer is not None

    @property
    def _resource(self) -> Any:
        """Read by TensorFlow's functions when they write."""
        return resource(self.open())

    def as_default(self, step: Any = None) -> Any:
        """A context in which `tf.summary` calls go to this writer."""
        import tensorflow as tf

        tf.summary.SummaryWriter.register(type(self))  # for its isinstance checks
        return tf.summary.SummaryWriter.as_default(self, step)

    def flush(self) -> None:
        """Hands everything to the event file."""
        if self._writer is not None:
            self._try(self._writer.flush)

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._following is not None:
            self._try(self._writer.close)
            self._following.unfollow()
            self._folder.cleanup()
        self._writer = self._following = None

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # TensorFlow has its own exception types
            self._failed(error)


class Step:
    """The number of batches so far, as a live value that `tf.summary` uses for its step.

    TensorFlow keeps a default step for summaries. A plain number would have to be set for every
    batch, whether there is a summary or not; this object reads the count when it is used.
    """

    def __init__(self, counter: _core.Counter) -> None:
        self._counter = counter

    def __index__(self) -> int:
        return self._counter.count

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._counter.count, dtype)

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        import tensorflow as tf

        return tf.constant(self._counter.count, dtype or tf.int64, name=name)

    def __hash__(self) -> int:
        return hash(self._counter.count)

    def __repr__(self) -> str:
        return repr(self._counter.count)


def _operator(name: str, reflected: bool) -> Callable[..., Any]:
    function = getattr(builtins, name, None) or getattr(operator, name)

    def operate(self: Step, *others: Any) -> Any:
        numbers = [
            self._counter.count,
            *(o.__index__() if isinstance(o, Step) else o for o in others),
        ]
        return function(*(reversed(numbers) if reflected else numbers))

    return operate


# Supports the operators of an int.
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift")
_LOGICAL = ("and_", "or_", "xor")
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "int", "float", "complex", "format"):
    setattr(Step, f"__{_name}__", _operator(_name, reflected=False))
for _name in ("neg", "pos", "abs", "invert", "round", "divmod", *_BINARY, *_LOGICAL):
    setattr(Step, f"__{_name.rstrip('_')}__", _operator(_name, reflected=False))
for _name in ("divmod", *_BINARY, *_LOGICAL):
    setattr(Step, f"__r{_name.rstrip('_')}__", _operator(_name, reflected=True))


class UserSummaries:
    """Makes a writer the default one of `tf.summary`.

    Keras's callback enters and exits two TensorFlow contexts for every batch; here they are entered
    once. TensorFlow's contexts must be exited in reverse order, but callbacks end in the order in
    which they began: a context that ends too early is exited after those above it. (With two of
    Keras's callbacks this is an error.)
    """

    # TensorFlow has a stack of contexts for each thread.
    _stacks: ClassVar[threading.local] = threading.local()

    def __init__(self, writer: SummaryWriter, counter: _core.Counter, update_freq: int) -> None:
        import tensorflow as tf

        def is_due() -> bool:
            return not self._ended and counter.count % update_freq == 0 and writer.can_open()

        self._contexts = ExitStack()
        self._contexts.enter_context(writer.as_default(Step(counter)))
        self._contexts.enter_context(tf.summary.record_if(is_due))
        self._ended = False
        self._stack = self._stacks.__dict__.setdefault("entered", [])
        self._stack.append(self)

    def close(self) -> None:
        """Restores the previous default writer and step."""
        self._ended = True
        # Another thread cannot exit the context; the next one in the same thread does.
        stack = self._stacks.__dict__.get("entered")
        while self._stack is stack and stack and stack[-1]._ended:
            stack.pop()._contexts.close()
