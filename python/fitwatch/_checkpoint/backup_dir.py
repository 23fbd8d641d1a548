"""The folder of a BackupAndRestore: a backup, the previous one if kept, and Keras's notes."""

import json
import os
from contextlib import suppress
from typing import Any, NamedTuple

from fitwatch import _files
from fitwatch._checkpoint import backup_file
from fitwatch._checkpoint.backup_file import Backup, DamagedError
from fitwatch._warn import warn


class FoundBackup(NamedTuple):
    """A backup to resume from."""

    path: str
    backup: Backup | None
    """None for a backup by Keras's class, which has only the weights and the optimizer."""
    epoch: int
    """The epoch to begin with."""
    was_stopped: bool
    """Whether training had been stopped before its last epoch."""
    has_ended: bool
    """Whether training then ended; the process may have died before that."""
    is_inside: bool
    """Whether it was made inside an epoch."""


class BackupFolder:
    """Finds, replaces and deletes backups, under Keras's file names.

    Args:
        callback: Keras's callback, which has the file names.
    """

    def __init__(self, callback: Any) -> None:
        self._folder: str = callback.backup_dir
        # The last and the previous backup: weights and notes.
        self._files: list[tuple[str, str]] = [
            (callback._weights_path, callback._training_metadata_path),
            (callback._prev_weights_path, callback._prev_training_metadata_path),
        ]
        # Whether the last backup is damaged, so that it must not replace the previous one.
        self._last_is_damaged = False
        # The notes about the last backup.
        self._notes: dict[str, Any] = {}

    def find(self) -> FoundBackup | None:
        """The last intact backup; None if the folder has no backup.

        Raises:
            OSError: All backups are damaged.
            ValueError: Another version of fitwatch wrote the backup.
        """
        damaged: list[DamagedError] = []
        found = None
        for path, notes in self._files:
            if found is None and os.path.exists(path):
                try:
                    found = self._read(path, notes)
                except DamagedError as error:
                    damaged.append(error)
        self._last_is_damaged = bool(damaged)
        if damaged and found is None:
            raise OSError(
                f"the backup is damaged: {'; '.join(map(str, damaged))}. Delete {self._folder!r} "
                "to train from the beginning."
            )
        if damaged:
            warn(
                f"BackupAndRestore: the last backup is damaged ({damaged[0]}); the one before it "
                "is used."
            )
        return found

    def _read(self, path: str, notes: str) -> FoundBackup:
        backup = backup_file.read(path)
        if backup is None:
            known = _read_notes(notes)
            inside = known.get("batch", 0) != 0
            epoch = known.get("epoch", 0)
            return FoundBackup(
                path, None, epoch, was_stopped=False, has_ended=False, is_inside=inside
            )
        state = backup.state
        try:
            known = _read_notes(notes)
        except DamagedError:
            known = {}  # the backup itself has everything needed
        ended = known.get("ended") is True and known.get("backup") == state["id"]
        self._notes = _notes_of(state)
        inside = state["trained"] > 0
        return FoundBackup(path, backup, state["epoch"], state["stopped"], ended, is_inside=inside)

    def save(self, model: Any, backup: Backup, *, double: bool) -> None:
        """Writes a backup, as the last one; with `double` the previous one is kept."""
        os.makedirs(self._folder, exist_ok=True)
        (path, notes), (previous, previous_notes) = self._files
        double = double and not self._last_is_damaged
        backup_file.write(path, model, backup, previous if double else None)
        self._last_is_damaged = False
        if double and os.path.exists(notes):
            _files.copy(notes, previous_notes)
        self._notes = _notes_of(backup.state)
        self._note(ended=False)

    def end(self) -> None:
        """Notes that training has ended: a restart then means to train further."""
        if self._notes and os.path.exists(self._files[0][0]):
            self._note(ended=True)

    def delete(self) -> None:
        """Deletes the backups, and the folder if nothing else is in it."""
        # The last backup is deleted last: until then the folder holds a usable backup.
        for path, notes in reversed(self._files):
            for name in (notes, path):
                with suppress(FileNotFoundError):
                    os.unlink(name)
        with suppress(OSError):
            os.rmdir(self._folder)

    def _note(self, *, ended: bool) -> None:
        text = json.dumps(self._notes | {"ended": ended})
        _files.write_whole(self._files[0][1], lambda file: file.write(text.encode()))


def _notes_of(state: dict[str, Any]) -> dict[str, Any]:
    return {"epoch": state["epoch"], "batch": state["batch"], "backup": state["id"]}


def _read_notes(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            notes = dict(json.load(file))
        if type(notes.get("epoch", 0)) is not int:
            raise ValueError(f"epoch is {notes['epoch']!r}")
        return notes
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{path}: {error}") from error
