"""`fitwatch.enable()`, `disable()` and `enabled()`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from fitwatch._enable import after_import
from fitwatch._enable.after_import import AfterImport


class _Patches:
    """Attributes that were replaced, with their previous values."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def apply(self, planned: list[tuple[Any, str, Any]]) -> None:
        """Sets attributes, given as owner, name and new value."""
        for owner, name, new in planned:
            self._done.append((owner, name, vars(owner)[name], new))
            setattr(owner, name, new)

    def undo(self) -> None:
        """Restores the previous values of attributes that other code has not replaced since."""
        while self._done:
            owner, name, old, new = self._done.pop()
            if vars(owner).get(name) is new:
                setattr(owner, name, old)


class _State:
    patches: _Patches | None = None
    waiting: ClassVar[list[AfterImport]] = []


def enable(max_lag: int = 16, *, validation_progress: bool = False) -> None:
    """Makes every later `fit()` use fitwatch, without changes to its code.

    `fit`, `evaluate` and `predict` build the compiled `CallbackList`; `keras.callbacks.X` is
    fitwatch's X where there is one (in `tf.keras.callbacks` too); Ctrl-C ends a run after the
    current batch and completes the callbacks' files; after any other exception the files are
    complete too. Callbacks that were made before keep working, but uncompiled.

    It may be called before Keras is imported, and does not import Keras. A second call only sets
    the arguments. In threads other than the main one, Ctrl-C works as before.

    Args:
        max_lag: The most batches (0 or more) by which a decision that depends on batch values may
            be late, where the device runs ahead of the program. 0 waits for every batch, as Keras
            does. Default 16.
        validation_progress: Whether the progress bar also shows the validation inside `fit()`, over
            the line of the epoch while it runs. Default False, as in Keras.

    Raises:
        ValueError: `max_lag` is negative or not whole; or `validation_progress` is neither True nor
            False.
        TypeError: `max_lag` is not a number.
        RuntimeError: This version of Keras is not supported; nothing is changed. Raised by
            `import keras`, if that comes later.

    Example:
        >>> import fitwatch, keras
        >>> fitwatch.enable()
        >>> keras.callbacks.TensorBoard.__module__
        'fitwatch.callbacks.tensorboard'
        >>> fitwatch.disable()
        >>> keras.callbacks.TensorBoard.__module__
        'keras.src.callbacks.tensorboard'
    """
    from fitwatch import _check
    from fitwatch._enable import settings

    max_lag = _check.count("max_lag", max_lag)
    validation_progress = _check.flag("validation_progress", validation_progress)
    if not _in_force():
        if "keras" in sys.modules:
            _patch()
        else:
            _State.waiting.append(AfterImport("keras", _patch))
    settings.max_lag = max_lag
    settings.validation_progress = validation_progress


def disable() -> None:
    """Undoes all changes by `enable()`. Running fits are not affected.

    Attributes that other code has replaced since are left alone. The arguments are reset to their
    defaults.

    Example:
        >>> import fitwatch, keras
        >>> fitwatch.enable()
        >>> fitwatch.disable()
        >>> keras.callbacks.History.__module__
        'keras.src.callbacks.history'
    """
    from fitwatch._enable import settings

    settings.max_lag = settings.DEFAULT_MAX_LAG
    settings.validation_progress = False
    while _State.waiting:
        _State.waiting.pop().cancel()
    if _State.patches is not None:
        _State.patches.undo()
        _State.patches = None


@contextmanager
def enabled(max_lag: int = 16, *, validation_progress: bool = False) -> Iterator[None]:
    """Enables fitwatch for a block, and restores the previous settings afterwards.

    Args:
        max_lag: Batches, as in `enable()`. Default 16.
        validation_progress: As in `enable()`. Default False.

    Returns:
        A context manager whose value is None.

    Raises:
        ValueError: As `enable()`, when the block begins.
        TypeError: Likewise.
        RuntimeError: Likewise.

    Example:
        >>> import fitwatch, keras
        >>> with fitwatch.enabled():
        ...     keras.callbacks.TensorBoard.__module__
        'fitwatch.callbacks.tensorboard'
        >>> keras.callbacks.TensorBoard.__module__
        'keras.src.callbacks.tensorboard'
    """
    from fitwatch._enable import settings

    was_enabled = _in_force()
    before = settings.max_lag, settings.validation_progress
    enable(max_lag, validation_progress=validation_progress)
    try:
        yield
    finally:
        if was_enabled:
            settings.max_lag, settings.validation_progress = before
        else:
            disable()


def _in_force() -> bool:
    return _State.patches is not None or bool(_State.waiting)


def _patch() -> None:
    """Replaces the names, once Keras is imported."""
    module = sys.modules.get("fitwatch.callbacks")
    if module is not None and not hasattr(module, "__all__"):
        # Its import has imported Keras; its classes are not there yet.
        after_import.postponed.append(_patch)
        return
    while _State.waiting:
        _State.waiting.pop().cancel()
    from fitwatch import callbacks
    from fitwatch._enable import fit_scope
    from fitwatch._enable.trainer_list import TrainerList
    from fitwatch._keras import patch_points, stock
    from fitwatch.callbacks.callback_list import replacements

    points = patch_points.find_patch_points()  # raises before anything is changed
    classes = {
        getattr(callbacks, name): theirs
        for theirs, name in replacements().items()
        # Our class would bypass methods that other code has replaced in Keras's.
        # CallbackList handles this itself.
        if name == "CallbackList" or stock.is_unmodified(theirs)
    }
    planned: list[tuple[Any, str, Any]] = [(points.lookup, "CallbackList", TrainerList)]
    # Keras hides its own frames in the traceback of a callback's error: hide ours too.
    hides = points.tracebacks
    for trainer, method in points.methods:
        scoped = fit_scope.with_scope(vars(trainer)[method], method)
        filtered = scoped if hides is None else hides.filter_traceback(scoped)
        planned.append((trainer, method, filtered))
    if hides is not None:
        planned.append(patch_points.hidden_from(hides, stock.OURS))
    patches = _Patches()

    def patch_namespace(name: str) -> None:
        module = sys.modules[name]
        patches.apply(
            [
                (module, ours.__name__, ours)
                for ours, theirs in classes.items()
                if getattr(module, ours.__name__, None) is theirs
            ]
        )

    patches.apply(planned)
    for name in patch_points.NAMESPACES:
        if name in sys.modules:
            patch_namespace(name)
        else:
            _State.waiting.append(AfterImport(name, partial(patch_namespace, name)))
    _State.patches = patches
