"""TensorFlow's own summary writers, for what our TensorBoard callback does not write itself.

That is profiles, and the `tf.summary` calls in a user's own code.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar


class LazyWriter:
    """One of TensorFlow's summary writers, made when it is first used.

    Making one imports TensorFlow and leaves a file behind. Has the methods that Keras's TensorBoard
    callback calls.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writer: Any = None

    def open(self) -> Any:
        """The writer itself."""
        if self._writer is None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(self._folder)
        return self._writer

    def as_default(self, step: int | None = None) -> Any:
        """A context in which TensorFlow's summaries go to this writer."""
        return self.open().as_default(step)

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self.open().flush()

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class UserSummaries:
    """Makes one of TensorFlow's writers the default one, and keeps its step current.

    Keras's callback enters and leaves two TensorFlow contexts for every batch; here they are
    entered once, and a batch sets the step only. TensorFlow's contexts must be left in the reverse
    order, but callbacks end in the order in which they began: one that ends too early is left when
    those above it have ended. (Two of Keras's callbacks crash there.)
    """

    _entered: ClassVar[list["UserSummaries"]] = []

    def __init__(self, writer: Any, step: int, update_freq: int) -> None:
        import tensorflow as tf

        self._set_step: Callable[[int], None] = tf.summary.experimental.set_step
        self._step = step
        self._contexts = ExitStack()
        self._contexts.enter_context(writer.as_default(step))
        self._contexts.enter_context(tf.summary.record_if(lambda: self._step % update_freq == 0))
        self._ended = False
        self._entered.append(self)

    def step(self, step: int) -> None:
        """Sets the step that summaries without a step of their own get."""
        self._step = step
        self._set_step(step)

    def close(self) -> None:
        """Puts back the writer and step that were the default before."""
        self._ended = True
        while self._entered and self._entered[-1]._ended:
            self._entered.pop()._contexts.close()
