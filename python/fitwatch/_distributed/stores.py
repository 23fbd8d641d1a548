"""The interface of stores, through which processes exchange messages."""

from typing import Protocol


class Store(Protocol):
    """Text by key, shared by the processes of a training.

    Calls may raise any exception of the backend when the process that runs the store is gone.
    """

    def set(self, key: str, text: str) -> None:
        """Stores a text; replaces an existing one."""

    def get(self, key: str, seconds: float) -> str | None:
        """Waits at most that long for a text; None if there is none."""

    def delete(self, key: str) -> None:
        """Deletes a text, if there is one."""

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        """Deletes the texts of a folder; some of the keys may have none."""
