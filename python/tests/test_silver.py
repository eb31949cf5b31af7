"""Views: the rows of silver that the program derived from the same events."""

import threading

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import streamreel

TABLES = ("enriched_events", "watched_segments", "seeks", "views", "view_spans")


def events(*rows: tuple) -> pa.Table:
    """Rows of (second, type, position) as the events of one view."""
    base = 1_767_571_200_000_000
    return pa.table(
        {
            "user_id": ["u"] * len(rows),
            "video_id": ["v"] * len(rows),
            "session_id": ["s"] * len(rows),
            "event_type": [row[1] for row in rows],
            "event_ts": pa.array([base + int(row[0] * 1e6) for row in rows], pa.timestamp("us", tz="UTC")),
            "position_s": pa.array([row[2] for row in rows], pa.float64()),
        }
    )


def segments(silver: streamreel.Silver) -> list[tuple[float, float]]:
    batch = pa.record_batch(silver.watched_segments)
    return list(zip(batch["start_s"].to_pylist(), batch["end_s"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def clean(lake) -> pa.Table:
    """The clean events of bronze with their metadata, sorted by view."""
    names = [name for name in streamreel.event_schema().column_names if name != "late_duplicates"]
    rows = lake.query(
        f"select {', '.join(f'e.{name}' for name in names)}, 0::bigint as late_duplicates, "
        "v.title, v.creator, v.genre, v.duration_s as video_duration_s, "
        "v.* exclude (video_id, title, creator, genre, duration_s, build_id) "
        "from {0} as e left join {1} as v using (video_id) where outcome = 'clean' "
        "order by e.user_id, e.video_id, e.session_id nulls first",
        "bronze/events",
        "silver/video_metadata",
    )
    return rows


def same_rows(lake, name: str, ours: pa.Table) -> int:
    """Our rows are the program's, each as often."""
    theirs = lake.query("select * exclude (build_id) from {0}", f"silver/{name}")
    assert set(theirs.column_names) == set(ours.column_names), name
    db = lake.duckdb
    db.register("ours", ours)
    db.register("theirs", theirs)
    columns = ", ".join(theirs.column_names)
    for one, other in (("ours", "theirs"), ("theirs", "ours")):
        only = db.execute(f"select {columns} from {one} except all select {columns} from {other} limit 5").fetchall()
        assert only == [], f"{name}: only in {one}"
    return theirs.num_rows


def test_every_row_as_in_silver(lake, clean):
    silver = streamreel.watched_segments(clean)
    for name in TABLES:
        assert same_rows(lake, name, pa.table(getattr(silver, name))) > 0, name


@pytest.mark.parametrize("size", [1, 977])
def test_batches_of_any_size_give_the_same(lake, clean, size):
    kernel = streamreel.Sessioniser()
    outputs = []
    for batch in clean.slice(0, 3000 if size == 1 else clean.num_rows).to_batches(max_chunksize=size):
        outputs += kernel.push(batch)
    outputs += kernel.finish()
    assert outputs
    whole = streamreel.watched_segments(clean.slice(0, 3000 if size == 1 else clean.num_rows))
    for name in TABLES:
        parts = pa.Table.from_batches([pa.record_batch(getattr(output, name)) for output in outputs])
        assert parts.combine_chunks().equals(pa.table(getattr(whole, name)).combine_chunks()), name


def test_rules():
    assert segments(
        streamreel.watched_segments(events((0, "play", 0), (3, "pause", 3), (7, "play", 0), (12, "ended", 5)))
    ) == [(0, 3), (0, 5)]
    assert segments(streamreel.watched_segments(events((0, "play", None), (10, "pause", None)))) == [(0, 10)]


def test_settings():
    late = events((0, "play", 0), (10, "heartbeat", 10), (20, "quality_change", None))
    assert segments(streamreel.watched_segments(late)) == [(0, 10)]
    assert segments(streamreel.watched_segments(late, open_play="elapsed")) == [(0, 20)]
    assert segments(streamreel.watched_segments(late, open_play="drop")) == []
    assert streamreel.definition() != streamreel.definition(engaged_s=11)
    with pytest.raises(TypeError, match="no setting `gap`; there are: view_gap_s"):
        streamreel.Sessioniser(gap=3)
    with pytest.raises(ValueError, match="engaged_s is -1"):
        streamreel.watched_segments(late, engaged_s=-1)
    with pytest.raises(TypeError, match="engaged_s must be a number"):
        streamreel.watched_segments(late, engaged_s="much")
    with pytest.raises(ValueError, match="open_play is never"):
        streamreel.watched_segments(late, open_play="never")


def test_schemas_are_those_of_the_rows(clean):
    silver = streamreel.watched_segments(clean.slice(0, 100))
    nothing = streamreel.silver_schemas(clean.schema.empty_table())
    for name in TABLES:
        assert pa.schema(getattr(nothing, name)) == pa.record_batch(getattr(silver, name)).schema
        assert getattr(nothing, name).num_rows == 0


def test_the_columns_of_events_go_to_enriched_events():
    events = pa.schema(streamreel.event_schema())
    enriched = pa.schema(streamreel.watched_segments(events.empty_table()).enriched_events)
    assert {(field.name, field.type) for field in events} <= {(field.name, field.type) for field in enriched}
    assert events.field("event_ts").type == pa.timestamp("us", tz="UTC") and events.names[-1] == "late_duplicates"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop_columns("user_id"), "no column `user_id`; it has: video_id"),
        (
            lambda t: t.set_column(3, "event_type", pa.array(["dance"] * t.num_rows)),
            'row 0 has the unknown event type "dance"',
        ),
        (lambda t: t.set_column(4, "event_ts", pa.nulls(t.num_rows, pa.timestamp("us"))), "row 0 has no `event_ts`"),
        (
            lambda t: t.set_column(4, "event_ts", pa.array([[1]] * t.num_rows)),
            "column `event_ts` is List.*cannot be read as Timestamp",
        ),
        (
            lambda t: pa.concat_tables([t, t.set_column(0, "user_id", pa.array(["a"] * t.num_rows))]),
            "breaks the order; sort by user_id, video_id",
        ),
        (
            lambda t: t.append_column("watch_time_s", t["position_s"]),
            "`watch_time_s` has the name of a column of silver.views",
        ),
    ],
)
def test_what_is_wrong_is_said(change, says):
    with pytest.raises(ValueError, match=says):
        streamreel.watched_segments(change(events((0, "play", 0), (3, "pause", 3))))


def test_after_an_error_a_sessioniser_refuses():
    good = events((0, "play", 0), (3, "pause", 3))
    kernel = streamreel.Sessioniser()
    kernel.push(good)
    with pytest.raises(ValueError, match="another schema"):
        kernel.push(good.drop_columns("position_s"))
    with pytest.raises(ValueError, match="takes no more events: an earlier batch was refused"):
        kernel.push(good)
    kernel = streamreel.Sessioniser()
    assert kernel.finish() == []
    with pytest.raises(ValueError, match="it is finished"):
        kernel.finish()


def test_python_runs_while_a_kernel_works(clean):
    """Another thread gets on during one long call."""
    many = pa.concat_tables(
        [
            clean.set_column(1, "user_id", pc.binary_join_element_wise(str(n), clean["user_id"], "/"))
            for n in range(10, 40)
        ]
    )
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(None)

    other = threading.Thread(target=tick)
    other.start()
    before = len(ticks)
    streamreel.watched_segments(many)
    during = len(ticks) - before
    done.set()
    other.join()
    assert during > 10
