"""The compiled core of fitwatch. Private: use `fitwatch.callbacks`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self, final

from typing_extensions import disjoint_base

__all__ = [
    "Checkpoint",
    "Counter",
    "CsvFile",
    "Decision",
    "Due",
    "EarlyStopping",
    "EventFile",
    "Finite",
    "Item",
    "Losses",
    "Plateau",
    "Progress",
    "Reader",
    "Recorder",
    "Rows",
    "Scalars",
    "Series",
    "Watch",
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
    STOP_ON_BEST: ClassVar[Decision]
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
    best_batch: int | None
    stopped_epoch: int
    stopped_batch: int | None
    progress: list[tuple[float | None, int, bool, float, float]]
    @property
    def diverged(self) -> int | None: ...
    def __new__(cls) -> EarlyStopping: ...
    def __reduce__(self) -> tuple[type[EarlyStopping], tuple[()], bytes]: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def __setstate__(self, state: bytes) -> None: ...
    def watch(self, metrics: int, either: bool, halflife: float | None) -> None: ...
    def judge(
        self, rules: list[tuple[bool, float, float | None, float | None]], relative: bool
    ) -> None: ...
    def reset(self) -> None: ...
    def stalled(self) -> list[int]: ...
    def update(self, epoch: int, values: list[float | None]) -> Decision: ...
    def stop(self, epoch: int, batch: int | None) -> None: ...

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
    mean: tuple[float, float] | None
    def __new__(cls) -> Plateau: ...
    def __reduce__(self) -> tuple[type[Plateau], tuple[()], bytes]: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def __setstate__(self, state: bytes) -> None: ...
    def refine(self, relative: bool, halflife: float | None) -> None: ...
    def reset(self) -> None: ...
    def update(self, value: float) -> Decision: ...
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
    def __reduce__(self) -> tuple[type[Checkpoint], tuple[()], bytes]: ...
    def compare(self, larger_is_better: bool, double: bool, flush_subnormal: bool) -> None: ...
    def improves(self, value: float, reference: float | None) -> bool: ...
    def __setstate__(self, state: bytes) -> None: ...
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

@disjoint_base
class EventFile:
    """An event file, open for writing."""

    @property
    def path(self) -> Path: ...
    def __new__(cls, folder: str | Path, host: str) -> Self: ...
    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None: ...
    def add_series(
        self, tag: str, values: Any, steps: Any, walltime: float | None = None
    ) -> None: ...
    def add_event(self, event: bytes) -> None: ...
    def follow(self, path: str | Path) -> None: ...
    def unfollow(self) -> None: ...
    def nudge(self) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...

@final
class CsvFile:
    """A CSV file, open for writing: what is no number comes and goes as text."""

    @property
    def columns(self) -> list[str]: ...
    def __new__(cls, path: str | Path, separator: str) -> CsvFile: ...
    @classmethod
    def append(
        cls, path: str | Path, separator: str, first: str
    ) -> tuple[CsvFile, tuple[str, bool] | None]: ...
    def add_columns(self, names: list[str]) -> None: ...
    def add_row(self, fields: dict[str, str]) -> None: ...
    def flush(self) -> None: ...

@final
class Item:
    """One value of an array that holds several, read when somebody wants it."""

    def __new__(cls, array: Any, at: int) -> Item: ...
    def __float__(self) -> float: ...

@final
class Reader:
    """Reads values of one backend."""

    def __new__(
        cls,
        convert: Callable[[Any], Any],
        array: type | None = None,
        layout: Callable[[Any], str] | None = None,
        keys: list[str] = ...,
        copy: Callable[[Any], Any] | None = None,
        transfer: Any = None,
    ) -> Reader: ...
    def read(self, value: Any) -> Any: ...

@final
class Recorder:
    """Has the batch hooks of a callback list, as builtin methods."""

    callbacks: Any
    interrupted: bool
    @property
    def max_lag(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def __new__(cls, owner: Any, logs: type, max_lag: int) -> Recorder: ...
    def replan(self) -> None: ...
    def drain(self) -> None: ...
    def settle(self, last: bool = False) -> None: ...
    def shares(self) -> tuple[list[tuple[int, float]], int]: ...
    def on_train_batch_begin(self, batch: Any, logs: Any = None) -> None: ...
    def on_train_batch_end(self, batch: Any, logs: Any = None) -> None: ...
    def on_test_batch_begin(self, batch: Any, logs: Any = None) -> None: ...
    def on_test_batch_end(self, batch: Any, logs: Any = None) -> None: ...
    def on_predict_batch_begin(self, batch: Any, logs: Any = None) -> None: ...
    def on_predict_batch_end(self, batch: Any, logs: Any = None) -> None: ...
    def on_batch_begin(self, batch: Any, logs: Any = None) -> None: ...
    def on_batch_end(self, batch: Any, logs: Any = None) -> None: ...

@final
class Counter:
    """Counts batches."""

    count: int
    def __new__(cls, count: int = 0) -> Counter: ...
    def __reduce__(self) -> tuple[type[Counter], tuple[int]]: ...

@final
class Due:
    """Asks for an action when a checkpoint's policy says that it is due."""

    def __new__(cls, policy: Checkpoint, callback: Any, first: bool) -> Due: ...

@final
class Finite:
    """Asks for an action when a metric is NaN, infinite or no number; a missing one is fine."""

    def __new__(cls, metrics: list[str]) -> Finite: ...

@final
class Losses:
    """Appends a metric to a series; where it is missing or no number, asks for an action."""

    def __new__(cls, series: Series, metric: str, losses: Any = None) -> Losses: ...

@final
class Progress:
    """Counts batches, and draws a progress bar now and then."""

    seen: int
    target: int | None
    values: bool
    def __new__(cls, show: Callable[[str], None], seen: int = 0) -> Progress: ...
    def __reduce__(self) -> tuple[type[Progress], tuple[Callable[[str], None] | None, int]]: ...
    def begin(self, style: str, now: float) -> None: ...
    def set(self, name: str, value: float) -> None: ...
    def step(self, current: int, now: float) -> bool: ...
    def draw(self, current: int, now: float, last: bool) -> None: ...

@final
class Rows:
    """Writes the values of every so many batches of an epoch to a CSV file."""

    epoch: int
    losses: Any
    def __new__(
        cls,
        every: int,
        file: CsvFile,
        failed: Callable[[OSError], None],
        losses: Any = None,
        steps: int = 1,
    ) -> Rows: ...
    @property
    def steps(self) -> int: ...
    def due_in_call(self, batch: int, losses: int) -> list[int]: ...
    def due(self, batch: int) -> bool: ...

@final
class Scalars:
    """Writes all values of every so many batches to an event file."""

    def __new__(
        cls,
        counter: Counter,
        every: int,
        file: EventFile,
        prefix: str,
        losses: Any = None,
    ) -> Scalars: ...

@final
class Watch:
    """Feeds the values of batches to a policy."""

    seen: int
    epoch: int
    elapsed: float
    losses: Any
    @property
    def verdict(self) -> tuple[Decision, int] | None: ...
    @property
    def time_is_over(self) -> bool: ...
    def __new__(
        cls,
        policy: EarlyStopping | Plateau,
        metrics: list[str],
        losses: Any = None,
        steps: int = 1,
        prompt: bool = False,
        max_time: float | None = None,
    ) -> Watch: ...
    def feed(
        self, losses: list[float], metrics: list[float | None], again: bool = False
    ) -> bool: ...
