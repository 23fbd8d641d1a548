"""The folder of `python -m fitwatch run --resume-dir`: a backup of every `fit()` of a script."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fitwatch import _files
from fitwatch._enable import settings
from fitwatch._warn import warn

# Seconds between two backups.
INTERVAL = 300.0

# What identifies a fit, in its folder.
_IDENTITY = "fit.json"


class ResumeDir:
    """Gives every `fit()` of a script a backup in a folder of its own, by its number from 1.

    A `fit()` that another one's callback runs has none: it runs again with the other one. One
    whose list has a BackupAndRestore is left alone.

    Args:
        folder: The folder, which is made if it is missing.
        interval: The least seconds between two backups of a `fit()`.

    Raises:
        ValueError: The folder is remote, or cannot be written.
    """

    def __init__(self, folder: str, interval: float) -> None:
        if _files.is_remote(folder):
            raise ValueError(f"--resume-dir must be a folder on this machine; got {folder!r}")
        self._folder = os.path.abspath(folder)  # the script may change its working directory
        try:
            _files.ensure_writable_folder("--resume-dir", self._folder)
        except OSError as error:
            raise ValueError(f"--resume-dir cannot be written: {error}") from error
        self._interval = interval
        self._process = os.getpid()
        self._count = 0
        self._deletes = True
        self._told: set[str] = set()

    @contextmanager
    def used(self) -> Iterator[None]:
        """A block in which a script runs; the backups are deleted if it ends with status 0."""
        settings.add_callbacks = self.add
        try:
            yield
        except SystemExit as end:
            if end.code in (None, 0):
                self._delete()
            raise
        finally:
            settings.add_callbacks = None
        self._delete()

    def add(self, callbacks: Any, *, model: Any = None, **arguments: Any) -> Any:
        """The callbacks of a list that a trainer makes, with a backup if it is one of a `fit()`.

        Args:
            callbacks: What the trainer's method was given.
            model: The model.
            arguments: Those of the list: `epochs` and others.

        Raises:
            ValueError: The backup in the folder is one of another `fit()`.
        """
        from fitwatch._cli import fit_backup  # imports Keras, which the script may configure first

        if not fit_backup.is_outermost_fit():
            return callbacks
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or os.getpid() != self._process:
            self._tell("fits in other threads and processes are not backed up.")
            return callbacks
        self._count += 1
        listed = fit_backup.flat(callbacks)
        if fit_backup.is_backed_up(listed):
            return callbacks
        refusal = fit_backup.refusal(model)
        if refusal is not None:
            self._tell(f"fit {self._count} is not backed up: {refusal}", once=refusal)
            return callbacks
        folder = os.path.join(self._folder, str(self._count))
        inexact = fit_backup.why_not_exact(model)
        if inexact is not None:
            self._tell(
                f"fit {self._count} is backed up at the ends of epochs: an interrupted epoch is "
                f"trained from its beginning. {inexact}",
                once="inexact",
            )
        writes = fit_backup.writes(model)
        # Of several processes, the one that writes the backups deletes them.
        self._deletes = self._deletes and writes
        self._identify(folder, fit_backup.identity(model, **arguments), writes)
        backup = fit_backup.FitBackup(folder, exact=inexact is None, interval=self._interval)
        return [*listed, backup]

    def _identify(self, folder: str, identity: dict[str, Any], writes: bool) -> None:
        """Checks that the folder is the one of this `fit()`, or notes it."""
        path = os.path.join(folder, _IDENTITY)
        with suppress(FileNotFoundError):
            with open(path, encoding="utf-8") as file:
                before = json.load(file)
            for name, value in identity.items():
                if json.dumps(before.get(name)) != json.dumps(value):  # a NaN equals itself
                    raise ValueError(
                        f"{folder} is the backup of another fit(): its {name} was "
                        f"{before.get(name)!r}, and is {value!r}. Run the same script with the "
                        "same arguments, or use another --resume-dir to train from the beginning."
                    )
            return
        if writes:
            os.makedirs(folder, exist_ok=True)
            _files.write_whole(path, lambda file: file.write(json.dumps(identity).encode()))

    def _delete(self) -> None:
        """Deletes the backups, and the folder if nothing else is in it."""
        if not self._deletes:
            return
        # The last one first: until then the others say which fits need not be trained again.
        fits: list[int] = []
        with suppress(FileNotFoundError):  # the script has deleted it
            fits = [int(name) for name in os.listdir(self._folder) if name.isdecimal()]
        for number in sorted(fits, reverse=True):
            folder = os.path.join(self._folder, str(number))
            if os.path.exists(os.path.join(folder, _IDENTITY)):
                shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            os.rmdir(self._folder)

    def _tell(self, message: str, once: str | None = None) -> None:
        if (once or message) not in self._told:
            self._told.add(once or message)
            warn(f"--resume-dir: {message}")
