"""StreamReel's kernels over Arrow batches.

* `decode`: records as they came -> clean columns and reject reasons.
* `Deduplicator`, `dedupe_keys`: which records of a partition are copies of an earlier one.
* `watched_segments`, `Sessioniser`: events of whole views -> views, watched segments, seeks, spans, enriched events.
* `simulate`: made-up viewers.

Batches are taken from any object with Arrow's PyCapsule interface (a record batch or table of pyarrow, polars, duckdb,
...) and handed out as `RecordBatch`, which `pyarrow.record_batch(...)`, `polars.DataFrame(...)` and others take over
without a copy. What the columns hold, with their units, is in each function's documentation.
"""

from streamreel._native import (
    Deduplicator,
    RecordBatch,
    Sessioniser,
    Silver,
    Simulation,
    __version__,
    clean_json,
    decode,
    dedupe_keys,
    definition,
    event_schema,
    producer_keys,
    silver_schemas,
    simulate,
    watched_segments,
)

__all__ = [
    "Deduplicator",
    "RecordBatch",
    "Sessioniser",
    "Silver",
    "Simulation",
    "__version__",
    "clean_json",
    "decode",
    "dedupe_keys",
    "definition",
    "event_schema",
    "producer_keys",
    "silver_schemas",
    "simulate",
    "watched_segments",
]
