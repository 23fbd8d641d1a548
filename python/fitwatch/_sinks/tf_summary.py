"""TensorFlow's own summary writers, for what our TensorBoard callback does not write itself.

That is graphs of traces, and the `tf.summary` calls in a user's own code.
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
from fitwatch._sinks.listened_file import ListenedFile


class SummaryWriter:
    """One of TensorFlow's summary writers, made when it is first used.

    A reader of a live folder follows one file in it. So TensorFlow writes to a folder of its own,
    out of the readers' sight, and our event file takes the events over while they come. Where
    TensorFlow writes that file itself, this is its writer.

    Has the methods of TensorFlow's own that Keras's callback and subclasses of it call. Making one
    imports TensorFlow.

    Args:
        file: Gives the event file that is to have the events.
        failed: Called with whatever TensorFlow or the disk raise where that ends no training.
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
        """The writer itself."""
        if self._writer is None:
            file = self._file()
            if isinstance(file, ListenedFile):
                self._writer = file.writer
                return self._writer
            import tensorflow as tf

            self._folder = tempfile.TemporaryDirectory(
                prefix="fitwatch-", ignore_cleanup_errors=True
            )
            # Nothing is held back: nobody tells of the end of a process.
            writer = tf.summary.create_file_writer(self._folder.name, max_queue=0)
            (name,) = os.listdir(self._folder.name)
            file.follow(os.path.join(self._folder.name, name))
            self._writer, self._following = writer, file
        return self._writer

    def try_open(self) -> Any:
        """The writer itself; None where it cannot be made, which is reported."""
        self._try(self.open)
        return self._writer

    def as_default(self, step: int | None = None) -> Any:
        """A context in which TensorFlow's summaries go to this writer."""
        return self.open().as_default(step)

    def flush(self) -> None:
        """Hands everything to our event file."""
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
        except Exception as error:  # TensorFlow's are of its own kind
            self._failed(error)


class Step:
    """The number of batches so far, as `tf.summary` and its users see it: it counts on by itself.

    TensorFlow keeps a step for summaries that name none. It would have to be set for every batch,
    whether a summary comes or not; an object that says how far it is when it is asked needs no
    care.
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


# What a script may do with a step, it may do with this one.
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift")
_LOGICAL = ("and_", "or_", "xor")
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "int", "float", "complex", "format"):
    setattr(Step, f"__{_name}__", _operator(_name, reflected=False))
for _name in ("neg", "pos", "abs", "invert", "round", "divmod", *_BINARY, *_LOGICAL):
    setattr(Step, f"__{_name.rstrip('_')}__", _operator(_name, reflected=False))
for _name in ("divmod", *_BINARY, *_LOGICAL):
    setattr(Step, f"__r{_name.rstrip('_')}__", _operator(_name, reflected=True))


class UserSummaries:
    """Makes one of TensorFlow's writers the default one.

    Keras's callback enters and leaves two TensorFlow contexts for every batch; here they are
    entered once. TensorFlow's contexts must be left in the reverse order, but callbacks end in the
    order in which they began: one that ends too early is left when those above it have ended. (Two
    of Keras's callbacks crash there.)

    Args:
        writer: TensorFlow's writer.
        counter: Counts the batches; its count is the step of summaries that name none.
        update_freq: Summaries are recorded in one batch of so many.
    """

    # TensorFlow has a stack for each thread.
    _stacks: ClassVar[threading.local] = threading.local()

    def __init__(self, writer: Any, counter: _core.Counter, update_freq: int) -> None:
        import tensorflow as tf

        self._contexts = ExitStack()
        self._contexts.enter_context(writer.as_default(Step(counter)))
        self._contexts.enter_context(tf.summary.record_if(lambda: counter.count % update_freq == 0))
        self._ended = False
        self._stack = self._stacks.__dict__.setdefault("entered", [])
        self._stack.append(self)

    def close(self) -> None:
        """Puts back the writer and step that were the default before."""
        self._ended = True
        # From another thread it cannot be left; the next one in its own does that.
        stack = self._stacks.__dict__.get("entered")
        while self._stack is stack and stack and stack[-1]._ended:
            stack.pop()._contexts.close()
