"""Saving a model while training goes on."""

import threading
from collections.abc import Callable
from typing import Any

from fitwatch import _files


class BackgroundSaver:
    """Takes a snapshot of a model, which a thread writes; one save at a time."""

    def __init__(self) -> None:
        self._save: _Save | None = None
        # The last snapshot, whose memory the next one reuses.
        self._snapshot: Any = None

    def begin(
        self,
        model: Any,
        path: str,
        done: Callable[[BaseException | None], None],
        *,
        write_extra: Callable[[Any], None] | None = None,
        copy_to: str | None = None,
    ) -> None:
        """Begins to save a model, after the previous save; raises the error of that one.

        `finish` calls `done`, with the error if the file was not saved.
        """
        self.finish()
        from fitwatch._keras import saving  # slow to import, and seldom needed

        weights_only = path.endswith(".weights.h5")
        kind = saving.WeightsSnapshot if weights_only else saving.ModelSnapshot
        self._snapshot = kind(model, self._snapshot)
        self._save = _Save(self._snapshot, path, done, write_extra, copy_to)
        self._save.start()

    def finish(self, *, wait: bool = True) -> None:
        """Finishes the save under way; with `wait=False` only if its thread has ended.

        Raises the error of the save.
        """
        save = self._save
        if save is None or (not wait and save.is_alive()):
            return
        save.join()
        self._save = None
        save.done(None if save.is_safe else save.error)
        if save.error is not None:
            raise save.error


class _Save(threading.Thread):
    """Not a daemon: when the program ends, Python waits until the file is safe."""

    def __init__(
        self,
        snapshot: Any,
        path: str,
        done: Callable[[BaseException | None], None],
        write_extra: Callable[[Any], None] | None,
        copy_to: str | None,
    ) -> None:
        super().__init__(name="fitwatch: save")
        self._snapshot = snapshot
        self._path = path
        self._write_extra = write_extra
        self._copy_to = copy_to
        self.done = done
        self.is_safe = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with _files.replacing(self._path) as temporary:
                self._snapshot.write(temporary, self._write_extra)
            self.is_safe = True
            if self._copy_to is not None:
                _files.copy(self._path, self._copy_to)
        except BaseException as error:
            self.error = error
        finally:
            self._snapshot.close()
