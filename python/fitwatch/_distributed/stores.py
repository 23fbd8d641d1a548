"""Where processes leave messages for each other."""

from typing import Protocol


class Store(Protocol):
    """Text by key, which every process of the training sees.

    Calls may raise whatever the engine raises when the process that keeps the store is gone.
    """

    def set(self, key: str, text: str) -> None:
        """Leaves a text, in the place of another one."""

    def get(self, key: str, seconds: float) -> str | None:
        """Waits for a text, so long at most; None if there is none."""

    def delete(self, key: str) -> None:
        """Removes a text, if there is one."""

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        """Removes texts that all lie in a folder, whichever of them there are."""
