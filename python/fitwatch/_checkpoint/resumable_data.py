"""Data whose order can be restored."""

from contextlib import suppress
from typing import Any

import keras
import numpy as np

from fitwatch._keras import data


class Resumable(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches whose order depends on the seed and the epoch alone; see `fitwatch.resumable`."""

    def __init__(
        self, x: Any, y: Any, sample_weight: Any, *, batch_size: int, shuffle: bool, seed: int
    ) -> None:
        # Without workers, which would hold batches of one epoch for the next.
        super().__init__()
        self._batches = None
        self._arrays = ()
        if isinstance(x, keras.utils.PyDataset):
            if y is not None or sample_weight is not None:
                raise ValueError("y and sample_weight must be None where x is a PyDataset.")
            size = None
            with suppress(NotImplementedError):  # raised by Keras if a class does not define it
                size = x.num_batches
            if size is None:
                raise ValueError(f"x must be a PyDataset of finite length; got {x!r}.")
            self._batches = x
            self._size = size
        else:
            given = (x, y, sample_weight)
            last = max(n for n, value in enumerate(given) if value is not None or n == 0)
            self._arrays = given[: last + 1]
            sizes = {len(array) for array in keras.tree.flatten(self._arrays) if array is not None}
            if len(sizes) != 1:
                raise ValueError(f"x, y and sample_weight must be of one length; got {sizes}.")
            self._size = sizes.pop()
        self._batch_size = batch_size
        self._length: int = self._size
        if self._batches is None:
            self._length = -(-self._size // batch_size)
        self._shuffle = shuffle
        self._seed = seed
        self.set_epoch(0)

    @property
    def fingerprint(self) -> list[Any]:
        """Identifies the batches and their orders, as JSON."""
        sample = data.checksum(self._arrays)
        return [self._seed, self._shuffle, self._batch_size, self._size, sample]

    def set_epoch(self, epoch: int) -> None:
        """Sets the order of an epoch, counted from 0."""
        self._epoch, self._read = epoch, 0
        self._order = np.arange(self._size)
        if self._shuffle:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self._size)

    @property
    def num_batches(self) -> int:
        """The number of batches in an epoch."""
        return self._length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, batch: int) -> Any:
        """The batch at this position of the epoch, from 0."""
        self._read += 1
        if self._batches is not None:
            return self._batches[int(self._order[batch])]
        rows = self._order[batch * self._batch_size : (batch + 1) * self._batch_size]
        return keras.tree.map_structure(
            lambda array: None if array is None else np.asarray(array[rows]), self._arrays
        )

    def on_epoch_end(self) -> None:
        """Sets the order of the next epoch, if this one was read; Keras also calls it before."""
        self.set_epoch(self._epoch + (self._read >= self._length))


def resumable(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
) -> Resumable:
    """Makes data for `fit()` whose order can be restored, for `BackupAndRestore(exact=True)`.

    The order depends only on `seed` and the epoch, counted from 0, on every backend and in every
    process: it is `numpy.random.default_rng([seed, epoch]).permutation(n)`. Samples of arrays are
    shuffled one by one, a `PyDataset` by whole batches; its `__getitem__` must return the same
    batch for an index every time.

    Args:
        x: An array of shape `(samples, ...)` that can be indexed with an array of integers, or
            nested lists and dicts of such arrays; or a `keras.utils.PyDataset` of finite length.
        y: Targets, likewise. None (default) for none, and with a `PyDataset`.
        sample_weight: An array of shape `(samples,)`. None (default) for none, and with a
            `PyDataset`.
        batch_size: Samples in a batch, 1 or more; the last batch of an epoch may have fewer. Not
            used with a `PyDataset`. Default 32.
        shuffle: Whether each epoch has its own order. Default True.
        seed: Seed of the orders: a whole number of 0 or more. Default 0.

    Returns:
        A `keras.utils.PyDataset` without workers: `model.fit(resumable(x, y), shuffle=False)`. With
        Keras's default, `shuffle=True`, `fit()` shuffles the batches once more. A batch is a tuple
        of the given parts, as NumPy arrays of shape `(batch_size, ...)`, or a batch of the
        `PyDataset`.

    Raises:
        ValueError: The arrays differ in length, the arguments exclude each other, or one has a
            value that is not allowed.
        TypeError: An argument has the wrong type, or an item of `x` has no length.

    Example:
        >>> import numpy as np
        >>> import fitwatch
        >>> data = fitwatch.resumable(np.arange(6), batch_size=4, shuffle=False)
        >>> data[1]
        (array([4, 5]),)
    """
    from fitwatch import _check

    return Resumable(
        x,
        y,
        sample_weight,
        batch_size=_check.count("batch_size", batch_size, minimum=1),
        shuffle=_check.flag("shuffle", shuffle),
        seed=_check.count("seed", seed, limit=None),
    )
