//! The tables of the product whose columns are fixed. Gold models bring their own.
//!
//! `*_ts` and `*_at` are timestamps in microseconds, UTC; `*_s` seconds as double; `*_date` UTC dates.
//! Silver tables may have further columns (those of the metadata); they are added by
//! [`crate::Lake::create`] with a spec that has them.

use std::{sync::Arc, time::Duration};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::spec::{TableId, TableSpec};

const HOUR: Duration = Duration::from_secs(3600);

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn nullable(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// Columns of any table whose values hardly repeat, beside whole numbers and times.
///
/// Users and sessions are among them: the rows of a file are of one time, in which each has a few. Of 2 M events, bronze and the
/// tables of views are smaller without a dictionary of them, and bronze takes a twentieth less CPU time.
pub(crate) const DISTINCT: [&str; 6] = ["event_id", "user_id", "session_id", "position_s", "seek_from_s", "seek_to_s"];

fn text(name: &str) -> Field {
    nullable(name, DataType::Utf8)
}

fn texts(names: &[&str]) -> Vec<Field> {
    names.iter().map(|n| text(n)).collect()
}

fn seconds(names: &[&str]) -> Vec<Field> {
    names.iter().map(|n| nullable(n, DataType::Float64)).collect()
}

fn schema(parts: impl IntoIterator<Item = Vec<Field>>) -> SchemaRef {
    Arc::new(Schema::new(parts.into_iter().flatten().collect::<Vec<_>>()))
}

/// Key of a silver row: the view, and the build that derived the row.
fn view_key() -> Vec<Field> {
    let mut fields = vec![required("view_id", DataType::Utf8)];
    fields.extend(texts(&["user_id", "video_id", "region"]));
    fields.push(required("view_date", DataType::Date32));
    fields
}

fn build_id() -> Vec<Field> {
    vec![required("build_id", DataType::Utf8)]
}

/// The columns of a clean event that silver keeps.
fn event_fields() -> Vec<Field> {
    let mut fields = texts(&["event_id", "user_id", "video_id", "session_id", "event_type"]);
    fields.push(nullable("event_ts", timestamp()));
    fields.extend(seconds(&["position_s", "seek_from_s", "seek_to_s", "rate", "duration_s"]));
    fields.extend(texts(&["region", "device"]));
    fields.push(nullable("sequence", DataType::Int64));
    fields.push(text("extra"));
    fields
}

/// Where a record came from.
fn source_fields() -> Vec<Field> {
    vec![
        required("source_log", DataType::Utf8),
        required("source_topic", DataType::Utf8),
        required("source_partition", DataType::Int32),
        required("source_offset", DataType::Int64),
        required("received_at", timestamp()),
        required("received_date", DataType::Date32),
    ]
}

/// `bronze.events`: one row a received record, whatever became of it. Partitioned by `received_date`. Users, titles and types
/// have no statistics: a file of one time has nearly all of them.
pub fn bronze_events() -> TableSpec {
    let outcome = vec![required("outcome", DataType::Utf8), text("reason"), text("detail")];
    let payload = vec![nullable("payload", DataType::Binary), text("corrections")];
    TableSpec::new(TableId::bronze("events"), schema([outcome, event_fields(), payload, source_fields()]))
        .partitioned_by(["received_date"])
        .with_stats([
            "outcome",
            "reason",
            "event_ts",
            "source_log",
            "source_topic",
            "source_partition",
            "source_offset",
            "received_at",
        ])
}

/// `silver.enriched_events`: one row an event, with its view and the metadata of its video.
pub fn enriched_events() -> TableSpec {
    let view = vec![required("view_id", DataType::Utf8), required("view_date", DataType::Date32)];
    let metadata = texts(&["title", "creator", "genre"]);
    let derived = seconds(&["video_duration_s", "watch_time_percentage"]);
    let corrections = vec![text("corrections"), nullable("late_duplicates", DataType::Int64)];
    TableSpec::new(
        TableId::silver("enriched_events"),
        schema([view, event_fields(), metadata, derived, corrections, source_fields(), build_id()]),
    )
    .partitioned_by(["view_date"])
    .clustered_by("event_ts", 6 * HOUR)
    .with_stats([
        "view_id",
        "user_id",
        "video_id",
        "event_ts",
        "region",
        "received_at",
        "source_offset",
        "build_id",
    ])
}

/// `silver.watched_segments`: one row an interval of content seconds that was really played.
pub fn watched_segments() -> TableSpec {
    let segment = vec![
        required("segment_index", DataType::Int32),
        required("start_s", DataType::Float64),
        required("end_s", DataType::Float64),
        required("started_at", timestamp()),
        required("ended_at", timestamp()),
        nullable("playing_time_s", DataType::Float64),
        text("ended_by"),
    ];
    TableSpec::new(TableId::silver("watched_segments"), schema([view_key(), segment, build_id()]))
        .partitioned_by(["view_date"])
        .clustered_by("started_at", 6 * HOUR)
        .with_stats(["view_id", "user_id", "video_id", "region", "started_at", "ended_at", "build_id"])
}

/// `silver.seeks`: one row a seek.
pub fn seeks() -> TableSpec {
    let seek = vec![
        required("seek_index", DataType::Int32),
        required("seeked_at", timestamp()),
        nullable("from_s", DataType::Float64),
        nullable("to_s", DataType::Float64),
        nullable("is_after_half", DataType::Boolean),
    ];
    TableSpec::new(TableId::silver("seeks"), schema([view_key(), seek, build_id()]))
        .partitioned_by(["view_date"])
        .clustered_by("seeked_at", 6 * HOUR)
        .with_stats(["view_id", "user_id", "video_id", "region", "seeked_at", "build_id"])
}

/// `silver.views`: one row a view. Correction counters and further metadata columns are added by who derives it.
pub fn views() -> TableSpec {
    let mut key = vec![required("view_id", DataType::Utf8)];
    key.extend(texts(&["user_id", "video_id", "session_id", "region", "device", "title", "creator", "genre"]));
    key.push(required("view_date", DataType::Date32));
    let times = vec![required("started_at", timestamp()), required("ended_at", timestamp())];
    let amounts = seconds(&[
        "video_duration_s",
        "watch_time_s",
        "unique_s",
        "playing_time_s",
        "watch_time_percentage",
        "furthest_s",
        "exit_s",
    ]);
    let facts = vec![
        nullable("is_completed", DataType::Boolean),
        nullable("is_engaged", DataType::Boolean),
        nullable("pauses", DataType::Int32),
        nullable("seeks", DataType::Int32),
        nullable("seeks_after_half", DataType::Int32),
        nullable("has_unreported_seek", DataType::Boolean),
    ];
    TableSpec::new(TableId::silver("views"), schema([key, times, amounts, facts, build_id()]))
        .partitioned_by(["view_date"])
        .clustered_by("started_at", 6 * HOUR)
        .with_stats([
            "view_id",
            "user_id",
            "video_id",
            "region",
            "creator",
            "genre",
            "started_at",
            "ended_at",
            "watch_time_s",
            "watch_time_percentage",
            "build_id",
        ])
}

/// `silver.view_spans`: when the events of a view came, so that a late event finds the views that it touches.
pub fn view_spans() -> TableSpec {
    let mut key = vec![required("view_id", DataType::Utf8)];
    key.extend(texts(&["user_id", "video_id", "session_id", "region"]));
    key.push(required("view_date", DataType::Date32));
    let span = vec![
        required("first_event_at", timestamp()),
        required("last_event_at", timestamp()),
        required("events", DataType::Int64),
        required("has_play", DataType::Boolean),
    ];
    TableSpec::new(TableId::silver("view_spans"), schema([key, span, build_id()]))
        .partitioned_by(["view_date"])
        .clustered_by("first_event_at", 6 * HOUR)
        .with_stats(["view_id", "user_id", "video_id", "region", "first_event_at", "last_event_at", "build_id"])
}

/// `silver.changes`: the groups that a build touched, those that a view left included.
pub fn changes() -> TableSpec {
    let mut group = build_id();
    group.extend(texts(&["video_id", "region"]));
    group.push(required("view_date", DataType::Date32));
    TableSpec::new(TableId::silver("changes"), schema([group])).partitioned_by(["view_date"])
}

/// `silver.video_metadata`: the titles as the last build read them.
pub fn video_metadata() -> TableSpec {
    let mut fields = vec![required("video_id", DataType::Utf8)];
    fields.extend(texts(&["title", "creator", "genre"]));
    fields.extend([nullable("duration_s", DataType::Float64), nullable("published_at", timestamp())]);
    TableSpec::new(TableId::silver("video_metadata"), schema([fields, build_id()]))
}

/// `silver.user_metadata`: what is known of users, as the last build read it.
pub fn user_metadata() -> TableSpec {
    TableSpec::new(TableId::silver("user_metadata"), schema([vec![required("user_id", DataType::Utf8)], build_id()]))
}

/// Columns of both tables of builds; `versions`, `offsets` and `counts` are JSON objects.
fn build_fields() -> Vec<Field> {
    vec![
        required("build_id", DataType::Utf8),
        required("finished_at", timestamp()),
        required("versions", DataType::Utf8),
        required("bronze_version", DataType::Int64),
        required("offsets", DataType::Utf8),
        required("counts", DataType::Utf8),
    ]
}

/// `silver.builds`: one row a derived silver, see [`crate::SilverBuild`].
pub fn silver_builds() -> TableSpec {
    TableSpec::new(TableId::silver("builds"), schema([build_fields()]))
}

/// `gold.builds`: one row a published state, see [`crate::Build`].
pub fn gold_builds() -> TableSpec {
    TableSpec::new(TableId::gold("builds"), schema([build_fields()]))
}

/// All specs of this module, upstream first.
pub fn all() -> Vec<TableSpec> {
    vec![
        bronze_events(),
        enriched_events(),
        watched_segments(),
        seeks(),
        views(),
        view_spans(),
        changes(),
        video_metadata(),
        user_metadata(),
        silver_builds(),
        gold_builds(),
    ]
}
