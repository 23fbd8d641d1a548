"""Where the processes of a training leave messages for each other: what JAX and torch keep.

Each is a `fitwatch._distributed.stores.Store`.
"""

import time
from typing import Any


class JaxStore:
    """That of JAX's coordination service, which process 0 runs.

    JAX has no public name for it; Orbax reaches it by this one too.
    """

    def __init__(self) -> None:
        from jax._src import distributed

        self._client: Any = distributed.global_state.client

    def set(self, key: str, text: str) -> None:
        """Leaves a text."""
        self._client.key_value_set(key, text, allow_overwrite=True)

    def get(self, key: str, seconds: float) -> str | None:
        """Waits for a text."""
        try:
            if seconds <= 0:
                return str(self._client.key_value_try_get(key))
            return str(self._client.blocking_key_value_get(key, max(1, round(seconds * 1000))))
        except Exception as error:  # JAX has one type for whatever it is
            if any(reason in str(error) for reason in ("NOT_FOUND", "DEADLINE_EXCEEDED")):
                return None
            raise

    def delete(self, key: str) -> None:
        """Removes a text."""
        self._client.key_value_delete(key)

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        """Removes texts."""
        self._client.key_value_delete(f"{folder}/")


class TorchStore:
    """That which torch.distributed was initialised with: in process 0, or with `torchrun`."""

    def __init__(self) -> None:
        from torch.distributed import distributed_c10d

        self._store: Any = distributed_c10d._get_default_store()

    def set(self, key: str, text: str) -> None:
        """Leaves a text."""
        self._store.set(key, text)

    def get(self, key: str, seconds: float) -> str | None:
        """Waits for a text."""
        # A wait of the store's own keeps all threads out, and prints a warning when it is over.
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
        """Removes a text."""
        self._store.delete_key(key)

    def delete_folder(self, folder: str, keys: list[str]) -> None:
        """Removes texts."""
        for key in keys:
            self._store.delete_key(key)
