"""Which checkpoints `max_to_keep` keeps, and their index on disk."""

import json
import os
import urllib.parse
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from fitwatch import _files

VERSION = 1

# The longest name of an index, without its suffix.
LONGEST = 200


class Kept(NamedTuple):
    """A checkpoint that is kept."""

    name: str
    """Its path, relative to the folder of the index."""
    value: float | None
    """The value of the monitored metric; None if there is none."""


class KeptFiles:
    """The files of one checkpoint callback, and their index in the same folder.

    A file is listed in the index before it is written, and until it is deleted. Even after a crash
    every checkpoint is known, and no other file is ever deleted.

    Args:
        template: The path of the files, with fields.
        most: The number of files to keep.
        improves: Whether the first value is better than the second; None if values do not count.
    """

    def __init__(
        self, template: str, most: int, improves: Callable[[float, float], bool] | None
    ) -> None:
        self._template = template
        self._most = most
        self._improves = improves
        self.files: list[Kept] = []
        # The files before the save that is under way; None if no save is.
        self._before: list[Kept] | None = None
        # Absolute: the program may change its working directory.
        self._folder = os.path.abspath(os.path.dirname(template.partition("{")[0]))
        rest = os.path.relpath(os.path.abspath(template), self._folder)
        # Quotes characters that some systems do not allow in a name, and slashes.
        name = urllib.parse.quote(rest, safe="{} ")
        if len(name) > LONGEST:
            name = f"checkpoints-{zlib.crc32(name.encode()):08x}"
        self.path = os.path.join(self._folder, f"{name}.index.json")

    def load(self) -> None:
        """Reads the index of an earlier run.

        Raises:
            ValueError: The index is damaged, or of another version.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                index = json.load(file)
            if index["version"] != VERSION:
                raise ValueError(f"version {index['version']}")
            files = [
                Kept(str(one["name"]), None if one["value"] is None else float(one["value"]))
                for one in index["files"]
            ]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path} is not an index of checkpoints that this fitwatch can read "
                f"({error!r}); delete it to begin a new one."
            ) from None
        if self._improves is None:
            files = [Kept(kept.name, None) for kept in files]
        self.files = files
        self.forget_missing()

    def forget_missing(self) -> None:
        """Drops files that no longer exist; called while none is being written."""
        self.files = [kept for kept in self.files if os.path.exists(self._path(kept))]

    def admits(self, value: float | None) -> bool:
        """Whether a new file with this value would be kept."""
        if len(self.files) < self._most:
            return True
        worst = self._worst()
        if worst.value is None:
            return True
        return value is not None and self._is_better(value, worst.value)

    def has_unjudged(self, path: str) -> bool:
        """Whether the file is listed without a value."""
        name = self._name(path)
        return any(kept.name == name and kept.value is None for kept in self.files)

    def begin(self, path: str, value: float | None) -> None:
        """Notes that a file is about to be written."""
        name = self._name(path)
        self._evict()  # files that a process left when it died
        self._before = self.files
        self.files = [*(kept for kept in self.files if kept.name != name), Kept(name, value)]
        self._write()

    def withdraw(self) -> None:
        """Undoes `begin`: the file was not written."""
        if self._before is None:
            return
        self.files, self._before = self._before, None
        with suppress(OSError):  # the failed save is reported already
            self._write()

    def end(self) -> None:
        """Deletes surplus files, once the new one is on the disk."""
        self._before = None
        self._evict()
        self._write()

    def _evict(self) -> None:
        while len(self.files) > self._most:
            worst = self._worst()
            with suppress(FileNotFoundError):
                os.unlink(self._path(worst))
            self.files.remove(worst)

    def _worst(self) -> Kept:
        """The file with the worst value; the oldest file without one, if there is any."""
        worst = self.files[0]
        for kept in self.files[1:]:
            if worst.value is None:
                break
            if kept.value is None or self._is_better(worst.value, kept.value):
                worst = kept
        return worst

    def _is_better(self, value: float, reference: float) -> bool:
        return self._improves is not None and self._improves(value, reference)

    def _name(self, path: str) -> str:
        return os.path.relpath(os.path.abspath(path), self._folder)

    def _path(self, kept: Kept) -> str:
        return os.path.join(self._folder, kept.name)

    def _write(self) -> None:
        index = {
            "version": VERSION,
            "filepath": self._template,
            "files": [kept._asdict() for kept in self.files],
        }
        text = json.dumps(index, indent=1)
        _files.write_whole(self.path, lambda file: file.write(text.encode()))
