"""Decoding: what the processor decided about the same records."""

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import streamreel

NOW = 1_767_571_200_000  # 2026-01-05T00:00:00Z, in milliseconds
EVENT = b'{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":"2026-01-05T00:00:00Z","position_s":1.5}'


def decode(*payloads: bytes | None, received_at: int = NOW) -> pa.RecordBatch:
    records = pa.record_batch(
        {"payload": pa.array(payloads, pa.binary()), "received_at": pa.array([received_at] * len(payloads), pa.int64())}
    )
    return pa.record_batch(streamreel.decode(records))


def test_every_record_as_in_bronze(lake):
    bronze = lake.query("select * from {0} order by source_partition, source_offset", "bronze/events")
    assert set(bronze["outcome"].to_pylist()) == {"clean", "rejected", "duplicate"}
    decoded = pa.table(streamreel.decode(bronze.select(["payload", "received_at"])))
    # A duplicate is a valid event: its reason is that of the window, not of the record.
    is_duplicate = pc.equal(bronze["outcome"], "duplicate")
    compared = 0
    for name in decoded.column_names:
        expected = bronze[name].cast(decoded.schema.field(name).type)
        if name in ("reason", "detail"):
            expected = pc.if_else(is_duplicate, pa.scalar(None, pa.string()), expected)
        assert decoded[name].combine_chunks().equals(expected.combine_chunks()), name
        compared += 1
    assert compared == 18
    reasons = set(decoded["reason"].to_pylist())
    assert len(reasons) > 10, reasons


def test_the_normalised_form_is_that_of_clean_events(lake):
    bronze = lake.query("select payload, received_at from {0} where outcome = 'clean' limit 2000", "bronze/events")
    once = pa.table(streamreel.decode(bronze))
    written = pa.table(streamreel.clean_json(once))
    again = pa.table(streamreel.decode(written.append_column("received_at", bronze["received_at"])))
    assert again.drop_columns("corrections").equals(once.drop_columns("corrections"))


def test_clean_json():
    text = pa.record_batch(streamreel.clean_json(decode(EVENT, b"no"))).column("payload").to_pylist()
    assert text[0].startswith(
        b'{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":"2026-01-05T00:00:00.000000Z","position_s":1.5'
    )
    assert text[1] is None


def test_keys_are_users_as_decoded():
    records = [
        EVENT,
        b'{"user_id":" 007 "}',
        b'{"user_id":7,"x":1}',
        b'{"user_id":true}',
        b"[]",
        b"\xff",
        None,
        EVENT[:-1] + b" " * 40_000 + b"}",
    ]
    keys = pa.record_batch(streamreel.producer_keys(pa.table({"payload": pa.array(records, pa.binary())})))
    assert keys.column("key").to_pylist() == [b"u1", b"007", b"7", None, None, None, None, None]


def test_arrow_from_any_library():
    wanted = decode(EVENT)
    forms = [
        pa.table({"payload": [EVENT], "received_at": [NOW]}),
        pa.table({"payload": [EVENT.decode()], "received_at": pa.array([NOW], pa.timestamp("ms"))}),
        pa.table(
            {
                "payload": pa.array([EVENT], pa.binary_view()),
                "received_at": pa.array([NOW * 1000], pa.timestamp("us", tz="UTC")),
            }
        ),
        pa.table(
            {
                "payload": pa.array([EVENT], pa.large_binary()),
                "received_at": pa.array([NOW // 1000], pa.timestamp("s", tz="Asia/Tokyo")),
            }
        ),
        pl.DataFrame({"payload": [EVENT], "received_at": [NOW]}),
        pa.table({"payload": [EVENT], "received_at": [NOW]}).to_reader(),
    ]
    for form in forms:
        assert pa.record_batch(streamreel.decode(form)).equals(wanted), type(form)
    assert pl.DataFrame(streamreel.decode(forms[0]))["user_id"].to_list() == ["u1"]


def test_a_slice_is_what_it_shows():
    records = pa.record_batch({"payload": [b"{}", EVENT, b"[]"], "received_at": [NOW] * 3}).slice(1, 1)
    assert pa.record_batch(streamreel.decode(records)).equals(decode(EVENT))


def test_reasons():
    cases = [
        (b"", "not_json"),
        (None, "not_json"),
        (b"[]", "not_an_object"),
        (b"\xff", "invalid_utf8"),
        (b"{}", "missing_user_id"),
        (b'{"user_id":"u","video_id":"v","event_type":"dance","timestamp":1767571200}', "unknown_event_type"),
        (b'{"user_id":"u","video_id":"v","event_type":"play","timestamp":1767671200}', "timestamp_out_of_range"),
        (EVENT[:-1] + b" " * 40_000 + b"}", "too_large"),
        (EVENT, None),
    ]
    decoded = decode(*(payload for payload, _ in cases))
    assert decoded.column("reason").to_pylist() == [reason for _, reason in cases]
    assert all(
        (reason is None) == (detail is None)
        for reason, detail in zip(decoded["reason"].to_pylist(), decoded["detail"].to_pylist())
    )


def test_a_cut_record_is_too_large():
    records = pa.record_batch({"payload": [EVENT, EVENT], "received_at": [NOW] * 2, "is_cut": [True, None]})
    assert pa.record_batch(streamreel.decode(records)).column("reason").to_pylist() == ["too_large", None]


def test_nothing_gives_nothing():
    assert decode().num_rows == 0


@pytest.mark.parametrize(
    ("records", "error", "says"),
    [
        (3, TypeError, "expected Arrow data .* got int"),
        (pa.array([b"x"]), ValueError, "record batch or a table, got an Arrow array of Binary"),
        (
            pa.table({"body": [b"x"], "received_at": [NOW]}),
            ValueError,
            "no column `payload`; there are: body, received_at",
        ),
        (pa.table({"payload": [b"x"]}), ValueError, "no column `received_at`"),
        (pa.table({"payload": [1], "received_at": [NOW]}), ValueError, "`payload` is Int64; give binary or text"),
        (pa.table({"payload": [b"x"], "received_at": ["now"]}), ValueError, "`received_at` is Utf8; give a timestamp"),
        (
            pa.table({"payload": [b"x"], "received_at": pa.array([None], pa.int64())}),
            ValueError,
            "row 0 has no `received_at`",
        ),
        (
            pa.table({"payload": [b"x"], "received_at": [NOW], "is_cut": ["no"]}),
            ValueError,
            "`is_cut` is Utf8; give booleans",
        ),
        (
            pa.table([[b"x"], [b"y"], [NOW]], ["payload", "payload", "received_at"]),
            ValueError,
            "`payload` is there 2 times",
        ),
        (
            pa.table(
                {
                    "payload": pa.Array.from_buffers(
                        pa.utf8(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
                    ),
                    "received_at": [NOW],
                }
            ),
            ValueError,
            "the Arrow data is broken: .*UTF",
        ),
    ],
)
def test_what_is_wrong_is_said(records, error, says):
    with pytest.raises(error, match=says):
        streamreel.decode(records)
