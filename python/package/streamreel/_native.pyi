"""The types of the compiled half of `streamreel`; `help(...)` says what columns hold.

Times are microseconds, UTC; `*_s` are seconds as float64.

All functions raise `TypeError` where an argument is no Arrow data or a setting does not exist, and `ValueError` where data can't
be what it should be; the message names column and row. Python's lock is given up while they work.
"""

from collections.abc import Iterator
from typing import final

from streamreel.types import Batches, Settings
from typing_extensions import Self, Unpack

__all__ = [
    "__version__",
    "RecordBatch",
    "Silver",
    "Sessioniser",
    "Simulation",
    "Deduplicator",
    "decode",
    "clean_json",
    "dedupe_keys",
    "producer_keys",
    "watched_segments",
    "event_schema",
    "silver_schemas",
    "definition",
    "simulate",
]

__version__: str

@final
class RecordBatch:
    @property
    def num_rows(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

def decode(records: Batches) -> RecordBatch: ...
def clean_json(decoded: Batches) -> RecordBatch: ...
def producer_keys(records: Batches) -> RecordBatch: ...

def dedupe_keys(decoded: Batches) -> RecordBatch: ...

@final
class Deduplicator:
    def __new__(cls, *, window_ms: int = 600_000, max_entries: int = 2_000_000) -> Self: ...
    def push(self, records: Batches) -> RecordBatch: ...

    @property
    def oldest_offset(self) -> int | None: ...

    @property
    def forgotten(self) -> int: ...

    @property
    def remembered(self) -> int: ...

@final
class Silver:
    @property
    def enriched_events(self) -> RecordBatch: ...
    @property
    def watched_segments(self) -> RecordBatch: ...
    @property
    def seeks(self) -> RecordBatch: ...
    @property
    def views(self) -> RecordBatch: ...
    @property
    def view_spans(self) -> RecordBatch: ...

def watched_segments(events: Batches, **settings: Unpack[Settings]) -> Silver: ...
def event_schema() -> RecordBatch: ...
def silver_schemas(events: Batches) -> Silver: ...
def definition(**settings: Unpack[Settings]) -> str: ...

@final
class Sessioniser:
    def __new__(cls, **settings: Unpack[Settings]) -> Self: ...
    def push(self, events: Batches) -> list[Silver]: ...
    def finish(self) -> list[Silver]: ...

@final
class Simulation(Iterator[RecordBatch]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> RecordBatch: ...
    def titles(self) -> str: ...

def simulate(
    *,
    events: int | None = None,
    rate: float | None = None,
    for_s: float | None = None,
    days: int = 7,
    seed: int = 1,
    start_ms: int | None = None,
    users: int | None = None,
    videos: int | None = None,
    dirt: float = 0.05,
    loss: float = 0.0,
    batch_size: int = 8192,
) -> Simulation: ...
