"""The progress bar that the core draws."""

import os
import sys
import time
from typing import Any

import keras
import numpy as np

from fitwatch import _core


class ProgressBar(keras.utils.Progbar):  # type: ignore[misc]
    """A `keras.utils.Progbar` whose text comes from the core; values are shown as given.

    Args:
        progress: The core's part, which also counts the batches of a compiled list.
        target: The number of steps; None if it is not known.
        verbose: 0 shows nothing, 1 a bar, 2 one line at the end. Where the output is neither a
            terminal nor a notebook, 1 shows plain lines.
        over: The core's part of a bar on whose line this one is drawn until `end_over`; None for a
            separate line.
    """

    def __init__(
        self,
        progress: _core.Progress,
        target: int | None,
        verbose: Any,
        over: _core.Progress | None = None,
    ) -> None:
        self.progress = progress
        self._over = over
        super().__init__(target, verbose=verbose, unit_name="step")
        if over is not None:
            progress.begin_over(over, "validation ", time.time())
            return
        style = "silent"
        if verbose == 1:
            style = "live" if _is_live() else "plain"
        elif verbose == 2:
            style = "summary"
        progress.begin(style, time.time())

    @property
    def target(self) -> int | None:
        """The number of steps; None if it is not known."""
        return self.progress.target

    @target.setter
    def target(self, target: int | None) -> None:
        self.progress.target = None if target is None else int(target)

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows that `current` steps are done, if a redraw is due.

        Args:
            current: Steps so far.
            values: Pairs of a name and a value.
            finalize: Whether these are all steps; None decides by `target`.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._seen_so_far = current
        if self.verbose not in (1, 2):
            return
        now = time.time()
        self.take(values or ())
        if self.progress.step(int(current), now) or finalize:
            self.progress.draw(int(current), now, finalize)

    def draw(self, current: int, values: Any) -> None:
        """Shows that `current` steps are done, at once."""
        self.take(values)
        self.progress.draw(int(current), time.time(), False)

    def end_over(self) -> None:
        """Returns the line to the bar that it belongs to."""
        if self._over is not None:
            self._over.take_back(self.progress)

    def take(self, values: Any) -> None:
        """Sets values, given as pairs with their names, without drawing."""
        for name, value in values:
            self.progress.set(str(name), _number(value))


def _number(value: Any) -> float:
    return value if isinstance(value, float) else float(np.mean(value))


def _is_live() -> bool:
    """Whether printed lines can be overwritten: in a terminal, and in a notebook."""
    if not keras.config.is_interactive_logging_enabled():
        return False
    isatty = getattr(sys.stdout, "isatty", None)
    notebook = "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ
    return notebook or bool(isatty is not None and isatty())
