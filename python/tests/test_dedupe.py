"""Deduplication: what the processor decided about the same records."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import streamreel

BLOCK = 65_536


def keys(*names: str | None) -> pa.Array:
    """Keys of events with these ids; None is a record that is not valid."""
    decoded = pa.record_batch({"user_id": ["u" if name else None for name in names], "event_id": pa.array(names, pa.utf8())})
    return pa.record_batch(streamreel.dedupe_keys(decoded))["key"]


def records(offsets: list[int], minutes: list[int], names: list[str | None]) -> pa.RecordBatch:
    return pa.record_batch({
        "offset": pa.array(offsets, pa.int64()), "timestamp_ms": pa.array([m * 60_000 for m in minutes], pa.int64()), "key": keys(*names),
    })


def judge(window: streamreel.Deduplicator, batch: pa.RecordBatch) -> list[bool | None]:
    return pa.record_batch(window.push(batch))["is_duplicate"].to_pylist()


def test_decides_as_the_processor(lake):
    bronze = lake.query(
        "select source_partition, source_offset, epoch_ms(received_at) as timestamp_ms, user_id, event_id, outcome from {0} "
        "order by source_partition, source_offset", "bronze/events")
    for partition in pc.unique(bronze["source_partition"]):
        rows = bronze.filter(pc.equal(bronze["source_partition"], partition))
        outcomes = rows["outcome"].to_pylist()
        found = pa.table({"offset": rows["source_offset"], "timestamp_ms": rows["timestamp_ms"],
                          "key": pa.record_batch(streamreel.dedupe_keys(rows))["key"]})
        window, judged = streamreel.Deduplicator(), []
        for batch in found.to_batches(max_chunksize=777):
            judged += judge(window, batch)
        assert judged == [None if outcome == "rejected" else outcome == "duplicate" for outcome in outcomes]
        assert True in judged and None in judged


def test_the_rule():
    window = streamreel.Deduplicator(window_ms=600_000)
    assert judge(window, records([0, 1, 5], [0, 10, 11], ["a", "a", None])) == [False, True, None]
    assert judge(window, records([6, 7], [20, 31], ["a", "a"])) == [True, False]
    assert (window.remembered, window.forgotten, window.oldest_offset) == (1, 0, 0)


def test_what_is_over_is_forgotten_and_not_needed():
    first, second, third = (records([block * BLOCK], [block * 60], ["a"]) for block in range(3))
    window = streamreel.Deduplicator(window_ms=600_000)
    assert window.oldest_offset is None
    for batch in (first, second, third):
        assert judge(window, batch) == [False]
    assert window.oldest_offset == BLOCK
    fresh = streamreel.Deduplicator(window_ms=600_000)
    judge(fresh, second), judge(fresh, third)
    late = records([2 * BLOCK + 1], [1], ["a"])
    assert judge(window, late) == judge(fresh, late) == [True]


def test_keys_tell_events_apart():
    one, other = keys("a")[0], keys("b")[0]
    assert one != other and one == keys("a")[0] and len(one.as_py()) == 16


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (records([3, 3], [0, 0], ["a", "b"]), "row 1 has offset 3, after 3; give the records of one partition, in order"),
        (pa.record_batch({"offset": [0], "key": keys("a")}), "no column `timestamp_ms`"),
        (pa.record_batch({"offset": [0], "timestamp_ms": [0], "key": [b"a"]}), "`key` is Binary; give what dedupe_keys returned"),
        (pa.record_batch({"offset": pa.array([None], pa.int64()), "timestamp_ms": [0], "key": keys("a")}), "`offset` has nulls"),
    ],
)
def test_what_is_wrong_is_said(batch, says):
    with pytest.raises(ValueError, match=says):
        streamreel.Deduplicator().push(batch)
    with pytest.raises(ValueError, match="window_ms is -1"):
        streamreel.Deduplicator(window_ms=-1)
