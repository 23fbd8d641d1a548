"""The compiled core of fitwatch. Private: use `fitwatch.callbacks`."""

from pathlib import Path
from typing import ClassVar, final

__all__ = [
    "Checkpoint",
    "Decision",
    "EarlyStopping",
    "EventFile",
    "Plateau",
    "Series",
    "__version__",
]

__version__: str

@final
class Decision:
    """What a policy wants done."""

    IGNORE: ClassVar[Decision]
    IMPROVED: ClassVar[Decision]
    WAIT: ClassVar[Decision]
    STOP: ClassVar[Decision]
    REDUCE_RATE: ClassVar[Decision]

    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class EarlyStopping:
    """Stop when a metric has stopped improving."""

    best: float | None
    min_delta: float
    patience: float
    wait: int
    baseline: float | None
    start_from_epoch: int
    best_epoch: int
    stopped_epoch: int

    def __new__(cls) -> EarlyStopping: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def update(self, epoch: int, value: float) -> Decision: ...
    def judged(self, epoch: int, beats_best: bool, beats_baseline: bool) -> Decision: ...

@final
class Plateau:
    """Reduce the learning rate when a metric has stopped improving."""

    best: float | None
    min_delta: float
    patience: float
    wait: int
    cooldown: int
    cooldown_counter: int
    factor: float
    min_lr: float

    def __new__(cls) -> Plateau: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def update(self, value: float) -> Decision: ...
    def judged(self, improved: bool) -> Decision: ...
    def reduced(self, rate: float) -> float | None: ...
    def acted(self) -> None: ...

@final
class Checkpoint:
    """When to save a checkpoint."""

    best: float | None
    min_delta: float
    batches_since: int
    last_batch: int | None

    def __new__(cls) -> Checkpoint: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def due(self, batch: int, every: int) -> bool: ...

@final
class Series:
    """An append-only float32 buffer, or a ring of fixed capacity."""

    @property
    def first(self) -> int: ...
    @property
    def capacity(self) -> int | None: ...
    def __new__(cls, capacity: int | None = None) -> Series: ...
    def __len__(self) -> int: ...
    def append(self, value: float) -> None: ...
    def tobytes(self, start: int, stop: int) -> bytes: ...
    def __reduce__(self) -> tuple[type[Series], tuple[int | None], tuple[int, bytes]]: ...
    def __setstate__(self, state: tuple[int, bytes], /) -> None: ...

@final
class EventFile:
    """An event file, open for writing."""

    @property
    def path(self) -> Path: ...
    def __new__(cls, folder: str | Path, host: str) -> EventFile: ...
    def add_scalar(self, tag: str, value: float, step: int) -> None: ...
    def add_event(self, event: bytes) -> None: ...
    def flush(self) -> None: ...
