"""The stores of JAX and torch: text by key, through which processes exchange messages.

Calls may raise any exception of the backend when the process that runs the store is gone.
"""

import time
from typing import Any


class JaxStore:
    """The store of JAX's coordination service, which process 0 runs.

    JAX has no public name for it; Orbax uses this one too.
    """

    def __init__(self) -> None:
        from jax._src import distributed

        self._client: Any = distributed.global_state.client

    def set(self, key: str, text: str) -> None:
        """Stores a text; replaces an existing one."""
        self._client.key_value_set(key, text, allow_overwrite=True)

    def get(self, key: str, seconds: float) -> str | None:
        """Waits at most that long for a text; None if there is none."""
        try:
            if seconds <= 0:
                return str(self._client.key_value_try_get(key))
            return str(self._client.blocking_key_value_get(key, max(1, round(seconds * 1000))))
        except Exception as error:  # JAX has one type for all errors
            if any(reason in str(error) for reason in ("NOT_FOUND", "DEADLINE_EXCEEDED")):
                return None
            raise

    def delete(self, key: str) -> None:
        """Deletes a text, if there is one."""
        self._client.key_value_delete(key)

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        """Deletes the texts of a folder; some of the keys may have none."""
        self._client.key_value_delete(f"{folder}/")


class TorchStore:
    """The same by the store of torch.distributed, in process 0 or in `torchrun`."""

    def __init__(self) -> None:
        from torch.distributed import distributed_c10d

        self._store: Any = distributed_c10d._get_default_store()

    def set(self, key: str, text: str) -> None:
        self._store.set(key, text)

    def get(self, key: str, seconds: float) -> str | None:
        # The store's own wait blocks all threads, and prints a warning when it times out.
        end = time.monotonic() + seconds
        pause = 0.0001
        while not self._store.check([key]):
            left = end - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.02)
        return bytes(self._store.get(key)).decode()

    def delete(self, key: str) -> None:
        self._store.delete_key(key)

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        for key in keys:
            self._store.delete_key(key)
