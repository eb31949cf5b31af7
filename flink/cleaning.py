"""What the job does to records, in batches: the rules are those of the Rust kernels in the package `streamreel`.

A batch of records of one partition is packed into one element of the stream, in Arrow's format. `Clean` decodes and
deduplicates it and makes the records of the two cleaned topics, as the embedded processor writes them.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import streamreel
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

VIDEO_EVENTS, CLEAN_EVENTS, DEAD_LETTERS = "video-events", "clean-events", "video-events.dlq"
DUPLICATE, SEEN_BEFORE = b"duplicate", b"same user_id and event_id as an earlier record within the window"

RECORDS = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("key", pa.binary()),
        ("payload", pa.binary()),
        ("cut", pa.binary()),
    ]
)
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
PACKED = Types.ROW_NAMED(["partition", "records"], [Types.INT(), BYTES])
CLEANED = Types.ROW_NAMED(
    ["topic", "timestamp_ms", "key", "payload", "headers"],
    [Types.STRING(), Types.LONG(), BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)],
)


def pack(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns partition + those of `RECORDS`, any number of rows -> as many rows (partition, records): on the last row
    of a partition all of its records, on the others null. A function over batches must return as many rows as it
    got."""
    frame.columns = ["partition", *RECORDS.names]
    packed = pd.Series([None] * len(frame), dtype=object)
    for _, rows in frame.groupby("partition", sort=False).indices.items():
        batch = pa.RecordBatch.from_pandas(frame.iloc[rows], RECORDS, preserve_index=False)
        packed.iloc[rows[-1]] = to_bytes(batch)
    return pd.DataFrame({"partition": frame["partition"], "records": packed})


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch in Arrow's stream format."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_bytes(data: bytes) -> pa.RecordBatch:
    """The batch of `to_bytes`."""
    return pa.ipc.open_stream(data).read_next_batch()


@dataclass(frozen=True)
class Rules:
    """What decides about a record besides the record; the same settings as the embedded processor's."""

    source_log: str
    window_ms: int
    # Records remembered of one partition.
    max_entries: int
    # Whether clean events carry the original bytes.
    keep_payload: bool


class Window:
    """The deduplication window of a partition: in memory, and in the job's state what it takes to make it anew.

    The state holds offset, timestamp and key of each valid record, batch by batch under the offset of its first; what
    the window has forgotten is removed.
    """

    def __init__(self, rules: Rules, state):
        self._window = streamreel.Deduplicator(window_ms=rules.window_ms, max_entries=rules.max_entries)
        self._spans = deque()
        for first, data in sorted(state.items()):
            batch = from_bytes(data)
            self._window.push(batch)
            self._spans.append((first, batch["offset"][-1].as_py()))

    def copies(self, records: pa.RecordBatch, decoded, state) -> pa.Array:
        """Whether each record is a copy; null for one that is not valid."""
        keys = pa.record_batch(streamreel.dedupe_keys(decoded))["key"]
        seen = pa.RecordBatch.from_arrays(
            [records["offset"], records["timestamp_ms"], keys], ["offset", "timestamp_ms", "key"]
        )
        copies = pa.record_batch(self._window.push(seen))["is_duplicate"]
        valid = seen.filter(keys.is_valid())
        if len(valid):
            self._remember(valid, state)
        return copies

    @property
    def forgotten(self) -> int:
        """Records that went at the memory bound although they lay within the window, so that copies of them are told no
        more."""
        return self._window.forgotten

    def _remember(self, valid: pa.RecordBatch, state) -> None:
        first, last = valid["offset"][0].as_py(), valid["offset"][-1].as_py()
        state.put(first, to_bytes(valid))
        self._spans.append((first, last))
        oldest = self._window.oldest_offset
        while self._spans[0][1] < oldest:
            state.remove(self._spans.popleft()[0])


class Clean(KeyedProcessFunction):
    """Batches of records, keyed by partition -> records of the cleaned topics (`CLEANED`), in their source's order.

    `written`: for each partition the offset of the source up to which the cleaned topics have it already; what lies
    below only fills the window. Flink's counter `forgotten` is the embedded processor's `forgotten by the window`.
    """

    def __init__(self, rules: Rules, written: dict[int, int]):
        self._rules = rules
        self._written = written

    def open(self, context: RuntimeContext) -> None:
        self._state = context.get_map_state(MapStateDescriptor("window", Types.LONG(), BYTES))
        self._windows = {}
        self._forgotten = context.get_metrics_group().counter("forgotten")

    def process_element(self, packed: Row, _context) -> Iterator[Row]:
        partition, records = packed[0], from_bytes(packed[1])
        window = self._windows.get(partition)
        if window is None:
            window = self._windows[partition] = Window(self._rules, self._state)
        # What an earlier run has written it has counted, too.
        first = records["offset"].to_numpy().searchsorted(self._written.get(partition, 0))
        for part, is_new in ((records[:first], False), (records[first:], True)):
            if len(part) == 0:
                continue
            before = window.forgotten
            decoded = streamreel.decode(decodable(part))
            copies = window.copies(part, decoded, self._state)
            if is_new:
                self._forgotten.inc(window.forgotten - before)
                yield from self._outputs(partition, part, decoded, copies)

    def _outputs(self, partition: int, records: pa.RecordBatch, decoded, copies: pa.Array) -> Iterator[Row]:
        normalised = pa.record_batch(streamreel.clean_json(decoded))["payload"]
        decoded = pa.record_batch(decoded)
        columns = [
            *records.columns,
            copies,
            normalised,
            *(decoded[name] for name in ("user_id", "reason", "detail", "corrections")),
        ]
        source = {
            "source_log": self._rules.source_log.encode(),
            "source_topic": VIDEO_EVENTS.encode(),
            "source_partition": b"%d" % partition,
        }
        for offset, timestamp_ms, key, payload, cut, is_copy, clean, user_id, reason, detail, corrections in zip(
            *(column.to_pylist() for column in columns)
        ):
            headers = {**source, "source_offset": b"%d" % offset, "source_timestamp": b"%d" % timestamp_ms}
            # Brokers refuse what lies before 1970, and clients take 0 for now.
            timestamp_ms = max(timestamp_ms, 1)
            payload = payload or b""
            if is_copy is False:
                if corrections is not None:
                    headers["corrections"] = corrections.encode()
                if self._rules.keep_payload:
                    headers["payload"] = payload
                yield Row(CLEAN_EVENTS, timestamp_ms, user_id.encode(), clean, headers)
                continue
            headers["reason"] = DUPLICATE if is_copy else reason.encode()
            if is_copy:
                headers["detail"] = SEEN_BEFORE
            elif detail is not None:
                headers["detail"] = detail.encode()
            if cut is not None:
                headers["cut"] = cut
            yield Row(DEAD_LETTERS, timestamp_ms, key, payload, headers)


def decodable(records: pa.RecordBatch) -> pa.RecordBatch:
    """Records as the kernel takes them."""
    return pa.RecordBatch.from_arrays(
        [records["payload"], records["timestamp_ms"], records["cut"].is_valid()], ["payload", "received_at", "is_cut"]
    )
